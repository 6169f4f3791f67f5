"""Drawing the agents: this machine's worker, every worker that is known, and each graph."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import bridge, feedback, viewer
from dashboard import format as fmt
from dashboard.facts import facts_table
from services.clock import utc_now
from services.livekit.server_log import RegisteredWorker
from services.worker_process import WorkerPhase, WorkerProcess, WorkerState

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
            hint="Run `python -m agents.worker` here or elsewhere, or set SWITCHBOARD_WORKER=on.",
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
            key="agents.worker.restart",
            icon=":material/restart_alt:",
            help="Its sessions end; their agents are asked for again.",
            disabled=state.phase in {WorkerPhase.WAITING, WorkerPhase.STOPPED},
        ):
            bridge.write(process.restart)
            feedback.flash("The worker restarts.")
            st.rerun()


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
