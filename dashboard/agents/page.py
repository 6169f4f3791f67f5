"""Drawing the agents: this machine's worker, every worker that is known, and each graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.agents.graph_drawing import graph_chart
from dashboard.testing import text_chat
from dashboard.ui import bridge, feedback, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from dashboard.ui.details import facts_table
from services.agents.service import NO_LATENCY, Latency
from services.agents.stream import Stream
from services.clock import utc_now
from services.errors import SwitchboardError
from services.graphs import Drawing
from services.livekit.server_log import RegisteredWorker
from services.processes.worker import WorkerPhase, WorkerProcess, WorkerState
from services.rooms.views import RoomView

_SHOWN: Final = 50
_RESTART: Final = "agents.worker.restart"
_DRAWING_S: Final = 40.0  # a cold start imports every graph in a process of its own
_PHASES: Final = {
    WorkerPhase.READY: ("green", ":material/check_circle:"),
    WorkerPhase.WAITING: ("blue", ":material/hourglass_top:"),
    WorkerPhase.STARTING: ("blue", ":material/hourglass_top:"),
    WorkerPhase.RESTARTING: ("orange", ":material/autorenew:"),
    WorkerPhase.STOPPED: ("red", ":material/stop_circle:"),
}


def worker(process: WorkerProcess | None, *, most_jobs: int) -> None:
    """This machine's worker: how it does, what it works on, and how to start it again."""
    if process is None:
        feedback.show_empty(
            "No worker on this machine.",
            hint="Run `switchboard worker` here or on another machine, or set SWITCHBOARD_WORKER=on.",
            icon=":material/smart_toy:",
        )
        return
    state = process.state
    with st.container(border=True):
        _heading(process, state)
        if state.told is not None:
            facts_table(_facts(state, most_jobs), alt="This machine's worker", columns=3)


def _heading(process: WorkerProcess, state: WorkerState) -> None:
    colour, icon = _PHASES[state.phase]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":{colour}[{icon}] **{state.phase.value.capitalize()}**  \n"
            f":small[:gray[{fmt.md(state.message)} {fmt.md(state.hint)}]]",
            width="stretch",
        )
        if st.button(
            "Restart worker",
            key=_RESTART,
            icon=":material/restart_alt:",
            help="Running agents are disconnected and dispatched again.",
            disabled=state.phase in {WorkerPhase.WAITING, WorkerPhase.STOPPED},
        ):
            attempt(
                _RESTART,
                lambda: bridge.write(
                    lambda caller: bridge.runtime().system.restart_worker(actor=caller)
                ),
                done="Worker restarting",
            )
    show_failure(_RESTART)


def _facts(state: WorkerState, most_jobs: int) -> list[tuple[str, str]]:
    told = state.told
    if told is None:
        return []
    speech = told.speech or {}
    memory = speech.get("memory_bytes")
    return [
        ("Sessions", f"{len(told.jobs)} of {most_jobs}"),
        ("Uptime", fmt.age(told.since, now=utc_now())),
        ("Restarts", fmt.number(state.restarts)),
        ("Process ID", fmt.code(str(told.pid))),
        ("Memory (without jobs)", fmt.bytes_text(told.memory_bytes)),
        ("Speech memory", fmt.bytes_text(memory) if memory else fmt.ABSENT),
        *((name, fmt.code(number)) for name, number in told.versions.items()),
    ]


def registered(workers: tuple[RegisteredWorker, ...] | None) -> None:
    """Every worker that is registered at the LiveKit server."""
    if workers is None:
        st.caption("An external LiveKit server doesn't list its registered workers.")
        return
    if not workers:
        feedback.show_empty(
            "No registered workers.",
            hint="Agents can't join until a worker registers.",
            icon=":material/cloud_off:",
        )
        return
    rows = [
        {
            "Agent": worker.agent_name or "any",
            "Worker": worker.worker_id,
            "Job type": worker.job_type or fmt.ABSENT,
            "Registered": viewer.moment(worker.registered_at),
        }
        for worker in workers
    ]
    st.dataframe(rows, hide_index=True, key="agents.registered", alt="Registered agent workers")


def graphs() -> None:
    """Every agent of langgraph.json."""
    runtime = bridge.runtime()
    st.header("Graphs", anchor=False)
    with st.spinner("Loading graphs…"):
        drawings = bridge.read(runtime.graphs.drawings, timeout_s=_DRAWING_S)
    store_error: SwitchboardError | None = None
    for entry in runtime.graphs.all():
        name, latency = entry.name, NO_LATENCY
        try:
            latency = bridge.read(lambda name=name: runtime.jobs.latency(name))  # type: ignore[misc]
        except SwitchboardError as error:  # the graphs are there all the same
            store_error = error
        _graph(name, drawings.get(name), latency)
    if store_error is not None:
        feedback.show_error(store_error, key="agents.latency")


def _graph(name: str, drawing: Drawing | None, latency: Latency) -> None:
    """One agent: its graph, how fast it answered lately, and a text chat with it."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{fmt.md(name)}**", width="content")
            if latency.median_ms is not None and latency.p95_ms is not None:
                turns = fmt.count_text(latency.count, "turn")
                st.badge(
                    f"p50 {fmt.latency(latency.median_ms / 1000)} · "
                    f"p95 {fmt.latency(latency.p95_ms / 1000)} · {turns} in the last hour",
                    icon=":material/timer:",
                    color="gray",
                )
            else:
                st.caption("No voice latency in the last hour", width="content")
            st.space("stretch")
            st.button(
                "Start text chat",
                key=f"agents.chat.start.{name}",
                icon=":material/chat:",
                on_click=text_chat.start,
                args=(name,),
                help="Starts a session in which you and the agent exchange text.",
            )
        _drawing(name, drawing)
        if len(latency.points) > 1:
            _latency_chart(name, latency)


def _drawing(name: str, drawing: Drawing | None) -> None:
    if drawing is None or drawing.error:
        text = drawing.error if drawing is not None else "This agent is not in langgraph.json."
        st.warning(fmt.md(text), icon=":material/warning:")
        return
    graph_chart(drawing.nodes, drawing.edges, key=f"agents.graph.{name}", name=name)


def _latency_chart(name: str, latency: Latency) -> None:
    rows = pd.DataFrame(
        {
            "Time": [at for at, _ in latency.points],
            "Latency (ms)": [ms for _, ms in latency.points],
        }
    )
    st.scatter_chart(rows, x="Time", y="Latency (ms)", height=140, alt=f"Latency of {name}")


def asked_for(views: Sequence[RoomView], streams: Sequence[Stream]) -> None:
    """The agent dispatches of open sessions, each with its job."""
    waiting = [view for view in views if view.session is not None and view.session.agent_name]
    if not waiting:
        st.caption("No dispatches in open sessions.")
        return
    connected = {stream.session_id: stream for stream in streams}
    rows = []
    for view in waiting[:_SHOWN]:
        session = view.session
        if session is None:
            continue
        stream = connected.get(session.id)
        rows.append(
            {
                "Agent": session.agent_name,
                "Room": view.name,
                "Requested": viewer.moment(session.created_at),
                "Dispatch": session.dispatch_id or fmt.ABSENT,
                "Job": stream.hello.job_id if stream is not None else fmt.ABSENT,
                "Joined": "yes" if view.agents else "no",
                "State": view.agent_state or fmt.ABSENT,
            }
        )
    st.dataframe(rows, hide_index=True, key="agents.asked", alt="Agent dispatches")
    if len(waiting) > _SHOWN:
        st.caption(f"{len(waiting) - _SHOWN:,} more dispatches are not shown.")


def at_work(streams: Sequence[Stream]) -> None:
    """The jobs that are connected now, and the sessions that they are in."""
    if not streams:
        feedback.show_empty(
            "No active jobs.",
            hint="Start a text chat, or create a session.",
            icon=":material/headset_off:",
        )
        return
    for stream in streams[:_SHOWN]:
        hello = stream.hello
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f":material/smart_toy: **{fmt.md(hello.agent_name or fmt.ABSENT)}** "
                f":small[:gray[on {fmt.md(hello.host or 'unknown host')}, process {hello.pid}, "
                f"{stream.acked:,} events]]",
                width="content",
            )
            nav.link("session", "Open session", icon=":material/forum:", id=stream.session_id)
            nav.link("room", "Open room", icon=":material/meeting_room:", name=hello.room_name)
    if len(streams) > _SHOWN:
        st.caption(f"{len(streams) - _SHOWN:,} more jobs are not shown.")
