"""Drawing the LiveKit server: its state, its traffic and load, its agent workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import streamlit as st

from dashboard.ui import bridge, dialogs, feedback, viewer
from dashboard.ui import format as fmt
from dashboard.ui.details import Rows, facts_table
from dashboard.ui.title import Colour
from services.health.system import MetricsView, Rates, System, SystemView
from services.livekit.embedded import EmbeddedState, Phase
from services.livekit.server_metrics import ServerMetrics

_RESTART: Final = "system.restart"
_CARD_PX: Final = 200
_PHASES: Final[dict[Phase, tuple[Colour, str]]] = {
    Phase.LOOKING: ("blue", ":material/search:"),
    Phase.BUILDING: ("blue", ":material/construction:"),
    Phase.STARTING: ("blue", ":material/hourglass_top:"),
    Phase.READY: ("green", ":material/check_circle:"),
    Phase.RESTARTING: ("orange", ":material/restart_alt:"),
    Phase.FAILED: ("red", ":material/error:"),
    Phase.STOPPED: ("gray", ":material/stop_circle:"),
}


def server(view: SystemView) -> None:
    """The server's state, with the button that restarts it."""
    state = view.embedded
    with st.container(border=True):
        if state is None:
            _outside(view)
        else:
            _embedded(view, state)


def _outside(view: SystemView) -> None:
    answers = view.error is None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Outside server**", width="content")
        st.space("stretch")
        if answers:
            st.badge("Answers", icon=":material/check_circle:", color="green")
        else:
            st.badge("Unavailable", icon=":material/error:", color="red")
    st.caption("LIVEKIT_URL names it. It is started, stopped and logged where it runs.")
    if view.error is not None:
        feedback.show_error(view.error, key="system.livekit", retry=False)
    facts_table(
        [
            ("Address for Switchboard", fmt.code(view.url)),
            ("Address for browsers", fmt.code(view.public_url)),
            ("Last answer", fmt.ago(view.answered_at, now=view.taken_at)),
        ],
        alt="Outside LiveKit server",
    )


def _embedded(view: SystemView, state: EmbeddedState) -> None:
    colour, icon = _PHASES[state.phase]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Embedded server**", width="content")
        st.badge(state.phase.value.capitalize(), icon=icon, color=colour)
        st.space("stretch")
        _restart_button(state)
    st.caption(fmt.md(f"{state.message} {state.hint}".strip()))
    if state.progress is not None:
        st.progress(state.progress, text=f"{state.progress:.0%}")
    since = f"{fmt.age(state.since, now=view.taken_at)}, since {viewer.moment(state.since)}"
    rows = [
        ("In this state for", since),
        ("Address for Switchboard", fmt.code(view.url)),
        ("Address for browsers", fmt.code(view.public_url)),
        ("Process", str(state.pid) if state.pid is not None else "none"),
        ("Version", view.server_version or fmt.ABSENT),
        ("Binary", fmt.code(str(state.binary)) if state.binary is not None else fmt.ABSENT),
        ("Started again", fmt.count_text(state.restarts, "time")),
        ("Last error", fmt.md(state.error) if state.error else "none"),
    ]
    facts_table(rows, alt="Embedded LiveKit server", columns=2)


def _restart_button(state: EmbeddedState) -> None:
    busy = state.phase in {Phase.LOOKING, Phase.BUILDING, Phase.STARTING, Phase.STOPPED}
    label = "Try again" if state.phase is Phase.FAILED else "Restart"
    if st.button(label, key="system.restart.ask", icon=":material/restart_alt:", disabled=busy):
        dialogs.ask(_RESTART)
        st.rerun()  # the dialog stands outside of what redraws itself


def restart_dialog(system: System) -> None:
    """Asks before the server is restarted; says whom it puts out."""
    if dialogs.asked(_RESTART) is None:
        return
    dialogs.confirm(
        _RESTART,
        title="Restart livekit-server?",
        body="It is back after a second or two.",
        consequences=lambda: _consequences(bridge.read(system.read)),
        topics=("rooms",),
        button="Restart",
        on_confirm=lambda: bridge.write(lambda caller: system.restart_server(actor=caller)),
        done="livekit-server is restarting.",
        icon=":material/restart_alt:",
    )


def _consequences(view: SystemView) -> list[str]:
    if not view.rooms:
        return [
            "No room is open: nobody is disconnected.",
            "Agent workers connect again by themselves.",
        ]
    people = fmt.count_text(view.people, "person", "people")
    agents = fmt.count_text(view.agents_present, "agent")
    return [
        f"**{people} and {agents}** in {fmt.count_text(view.rooms, 'room')} are disconnected.",
        "The rooms end, and their sessions count as failed; clients can join again.",
        "Agent workers connect again by themselves.",
    ]


def workers(view: SystemView) -> None:
    """Who has registered to run agents, as the embedded server's log tells."""
    st.markdown("**Agent workers**")
    if view.workers is None:
        feedback.show_empty(
            "Not known: an outside LiveKit server tells nobody which workers it has.",
            hint="Each worker says “registered worker” in its own log.",
            icon=":material/smart_toy:",
        )
        return
    missing = sorted(set(view.agents) - {worker.agent_name for worker in view.workers})
    if not view.workers:
        names = fmt.listing(list(view.agents)) or "none"
        feedback.show_empty(
            "No worker has registered.",
            hint=f"Agents that langgraph.json names: {fmt.md(names)}. They come to no room "
            "until a worker runs.",
            icon=":material/smart_toy:",
        )
        return
    rows = [
        {
            "Agent": fmt.plain(worker.agent_name) or "every room",
            "Takes": worker.job_type,
            "Worker": worker.worker_id,
            "Registered": viewer.moment(worker.registered_at),
        }
        for worker in view.workers
    ]
    st.dataframe(rows, hide_index=True, key="system.workers", alt="Registered agent workers")
    if missing:
        st.caption(f"No worker yet for {fmt.md(fmt.listing(missing))}.")


def metrics(view: MetricsView) -> None:
    """Traffic, loss and load, as livekit-server's own Prometheus page tells."""
    st.markdown("**Traffic and load**")
    if not view.configured:
        feedback.show_empty(
            "The address of this server's metrics is not set.",
            hint="Give livekit-server a prometheus port and set SWITCHBOARD_LIVEKIT_METRICS_URL.",
            icon=":material/query_stats:",
        )
    elif view.error is not None:
        feedback.show_error(view.error, key="system.metrics", retry=False)
    elif view.metrics is not None:
        _figures(view.metrics, view.rates)


def _figures(now: ServerMetrics, rates: Sequence[Rates]) -> None:
    last = rates[-1] if rates else None

    def rate(of: Callable[[Rates], float], text: Callable[[float], str]) -> str:
        return text(of(last)) if last is not None else fmt.ABSENT

    def packets(of: Callable[[Rates], float]) -> str:
        return f"{of(last):,.0f} packets/s" if last is not None else "measuring …"

    cpu = fmt.ABSENT
    if last is not None and last.cpu_percent is not None:
        cpu = f"{last.cpu_percent:.1f} %"
    memory = fmt.bytes_text(now.memory_bytes) if now.memory_bytes is not None else fmt.ABSENT
    cards: list[tuple[str, str, str, list[float]]] = [
        (
            "Traffic in",
            rate(lambda r: r.bytes_in, _bits),
            packets(lambda r: r.packets_in),
            [r.bytes_in for r in rates],
        ),
        (
            "Traffic out",
            rate(lambda r: r.bytes_out, _bits),
            packets(lambda r: r.packets_out),
            [r.bytes_out for r in rates],
        ),
        (
            "Packet loss",
            rate(lambda r: max(r.loss_in_percent, r.loss_out_percent), lambda v: f"{v:.2f} %"),
            f"all: {now.incoming.loss_percent:.2f} % in, {now.outgoing.loss_percent:.2f} % out",
            [max(r.loss_in_percent, r.loss_out_percent) for r in rates],
        ),
        ("CPU", cpu, f"of one core · memory {memory}", [r.cpu_percent or 0.0 for r in rates]),
    ]
    grid = st.grid(len(cards), min_column_width=_CARD_PX)
    for name, value, text, line in cards:
        grid.metric(
            name,
            value,
            text,
            delta_color="off",
            delta_arrow="off",
            border=True,
            chart_data=line if len(line) > 1 else [0.0, 0.0],
            chart_type="area",
            height="stretch",
        )
    facts_table(_counts(now), alt="livekit-server's own counts", columns=3)


def _counts(now: ServerMetrics) -> Rows:
    failed = sum(count for status, count in now.webhooks.items() if status != "success")
    return [
        ("Rooms", fmt.number(now.rooms)),
        ("Participants", fmt.number(now.participants)),
        ("Up for", _uptime(now.uptime)),
        ("Tracks published", fmt.number(now.tracks_published)),
        ("Tracks subscribed", fmt.number(now.tracks_subscribed)),
        ("Forwarding takes", f"{now.forward_latency_ms:.2f} ms"),
        ("API calls, errors", f"{now.api_calls:,}, {now.api_errors:,}"),
        ("Webhooks sent, failed", f"{now.webhooks.get('success', 0):,}, {failed:,}"),
        ("Goroutines", fmt.number(now.goroutines) if now.goroutines is not None else fmt.ABSENT),
    ]


def _bits(bytes_each_second: float) -> str:
    bits, units = bytes_each_second * 8, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]
    power = 0
    while bits >= 999.5 and power < len(units) - 1:
        bits, power = bits / 1000, power + 1
    return f"{bits:.{1 if power and bits < 99.5 else 0}f} {units[power]}"


def _uptime(uptime: timedelta | None) -> str:
    return fmt.ABSENT if uptime is None else fmt.duration(uptime.total_seconds())
