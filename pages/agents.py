"""Agents: their graphs, the workers that run them, how fast they answer, and a chat with one."""

from __future__ import annotations

import streamlit as st

from dashboard import agents, bridge, chat
from dashboard.parts import live_part
from dashboard.title import title
from services.chats import chat_topic


@live_part("agents", key="agents.work", max_per_second=2)
def at_work() -> None:
    """Which agents are in a session now."""
    agents.at_work(bridge.runtime().jobs.streams.open_streams)


@live_part("agents", "rooms", key="agents.asked", max_per_second=1)
def asked_for() -> None:
    """Dispatches of open sessions."""
    runtime = bridge.runtime()
    agents.asked_for(runtime.rooms.snapshot.rooms, runtime.jobs.streams.open_streams)


@live_part("agents", key="agents.workers", max_per_second=1)
def workers() -> None:
    """This machine's worker, and every worker that LiveKit told of."""
    runtime = bridge.runtime()
    agents.worker(runtime.worker, most_jobs=runtime.settings.switchboard_worker_jobs)
    agents.registered(runtime.embedded.workers if runtime.embedded is not None else None)


def graphs() -> None:
    """Each agent of langgraph.json."""
    runtime = bridge.runtime()
    with st.spinner("Drawing the graphs …"):
        drawings = bridge.read(runtime.graphs.drawings, timeout_s=40)
    for entry in runtime.graphs.all():
        name = entry.name
        latency = bridge.read(lambda name=name: runtime.jobs.latency(name))  # type: ignore[misc]
        agents.graph(name, drawings.get(name), latency)


title("Agents")
if session_id := chat.chosen():
    live_part(chat_topic(session_id), key="agents.chat")(lambda: chat.panel(session_id))()
else:
    chat.show_failure()
st.header("In a session now", anchor=False)
at_work()
st.header("Graphs", anchor=False)
graphs()
st.header("Dispatches", anchor=False)
asked_for()
st.header("Workers", anchor=False)
workers()
