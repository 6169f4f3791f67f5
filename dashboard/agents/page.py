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
            "No worker runs on this machine.",
            hint="Run `switchboard worker` here or elsewhere, or set SWITCHBOARD_WORKER=on.",
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
            "Restart",
            key=_RESTART,
            icon=":material/restart_alt:",
            help="Its sessions end; their agents are asked for again.",
            disabled=state.phase in {WorkerPhase.WAITING, WorkerPhase.STOPPED},
        ):
            attempt(
                _RESTART,
                lambda: bridge.write(
                    lambda caller: bridge.runtime().system.restart_worker(actor=caller)
                ),
                done="The worker restarts.",
            )
    show_failure(_RESTART)


def _facts(state: WorkerState, most_jobs: int) -> list[tuple[str, str]]:
    told = state.told
    if told is None:
        return []
    speech = told.speech or {}
    memory = speech.get("memory_bytes")
    return [
        ("Sessions", f"{len(told.jobs)} of at most {most_jobs}"),
        ("Up for", fmt.age(told.since, now=utc_now())),
        ("Restarts", fmt.number(state.restarts)),
        ("Process", fmt.code(str(told.pid))),
        ("Memory, without sessions", fmt.bytes_text(told.memory_bytes)),
        ("Speech process", fmt.bytes_text(memory) if memory else fmt.ABSENT),
        *((name, fmt.code(number)) for name, number in told.versions.items()),
    ]


def registered(workers: tuple[RegisteredWorker, ...] | None) -> None:
    """Every worker that the LiveKit server has told of."""
    if workers is None:
        st.caption("An outside LiveKit server tells nobody which workers have registered.")
        return
    if not workers:
        feedback.show_empty(
            "No worker has registered.",
            hint="Agents that are asked for will not come until one does.",
            icon=":material/cloud_off:",
        )
        return
    rows = [
        {
            "Agent": worker.agent_name or "any",
            "Worker": worker.worker_id,
            "Takes": worker.job_type or fmt.ABSENT,
            "Since": viewer.moment(worker.registered_at),
        }
        for worker in workers
    ]
    st.dataframe(rows, hide_index=True, key="agents.registered", alt="Registered agent workers")


def graphs() -> None:
    """Every agent of langgraph.json."""
    runtime = bridge.runtime()
    st.header("Graphs", anchor=False)
    with st.spinner("Drawing the graphs …"):
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
                answers = fmt.count_text(latency.count, "answer")
                st.badge(
                    f"{fmt.latency(latency.median_ms / 1000)} median, "
                    f"{fmt.latency(latency.p95_ms / 1000)} p95 of {answers} in the last hour",
                    icon=":material/timer:",
                    color="gray",
                )
            else:
                st.caption("No spoken answer in the last hour.", width="content")
            st.space("stretch")
            st.button(
                "Chat in text",
                key=f"agents.chat.start.{name}",
                icon=":material/chat:",
                on_click=text_chat.start,
                args=(name,),
                help="Starts a session in which you write and the agent writes back.",
            )
        _drawing(name, drawing)
        if len(latency.points) > 1:
            _latency_chart(name, latency)


def _drawing(name: str, drawing: Drawing | None) -> None:
    if drawing is None or drawing.error:
        text = drawing.error if drawing is not None else "langgraph.json no longer names it."
        st.warning(fmt.md(text), icon=":material/warning:")
        return
    graph_chart(drawing.nodes, drawing.edges, key=f"agents.graph.{name}", name=name)


def _latency_chart(name: str, latency: Latency) -> None:
    rows = pd.DataFrame(
        {
            "At": [at for at, _ in latency.points],
            "Milliseconds": [ms for _, ms in latency.points],
        }
    )
    st.scatter_chart(rows, x="At", y="Milliseconds", height=140, alt=f"Answer times of {name}")


def asked_for(views: Sequence[RoomView], streams: Sequence[Stream]) -> None:
    """Open sessions that asked for an agent, and what became of it."""
    waiting = [view for view in views if view.session is not None and view.session.agent_name]
    if not waiting:
        st.caption("No open session has asked for an agent.")
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
                "Asked": viewer.moment(session.created_at),
                "Dispatch": session.dispatch_id or fmt.ABSENT,
                "Job": stream.hello.job_id if stream is not None else fmt.ABSENT,
                "Here": "yes" if view.agents else "no",
                "State": view.agent_state or fmt.ABSENT,
            }
        )
    st.dataframe(rows, hide_index=True, key="agents.asked", alt="Agents that were asked for")
    if len(waiting) > _SHOWN:
        st.caption(f"And {len(waiting) - _SHOWN:,} more.")


def at_work(streams: Sequence[Stream]) -> None:
    """The jobs that are connected now, and the sessions that they are in."""
    if not streams:
        feedback.show_empty(
            "No agent is in a session.",
            hint="Chat with one below, or create a session.",
            icon=":material/headset_off:",
        )
        return
    for stream in streams[:_SHOWN]:
        hello = stream.hello
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f":material/smart_toy: **{fmt.md(hello.agent_name or fmt.ABSENT)}** "
                f":small[:gray[on {fmt.md(hello.host or 'an unknown host')}, process {hello.pid}, "
                f"{stream.acked:,} events]]",
                width="content",
            )
            nav.link("session", "Session", icon=":material/forum:", id=stream.session_id)
            nav.link("room", "Room", icon=":material/meeting_room:", name=hello.room_name)
    if len(streams) > _SHOWN:
        st.caption(f"And {len(streams) - _SHOWN:,} more.")
