"""Agents: their graphs, the workers that run them, how fast they answer, and a chat with one."""

from __future__ import annotations

import streamlit as st

from dashboard.agents import page as agents
from dashboard.testing import text_chat
from dashboard.ui import bridge
from dashboard.ui.fragments import live_part
from dashboard.ui.title import title
from services.agents.text_chat import chat_topic

session_id = text_chat.chosen()
topics = ("agents", "rooms", *([chat_topic(session_id)] if session_id else []))


# One part for all that is live: Streamlit reruns one of several that are told in the same moment.
@live_part(*topics, key=f"agents.{session_id}", max_per_second=4 if session_id else 2)
def at_work() -> None:
    """The chat, who is in a session, what was asked for, and the workers."""
    runtime = bridge.runtime()
    streams = runtime.jobs.streams.open_streams
    with st.container():
        if session_id:
            text_chat.panel(session_id)
    with st.container():
        st.header("Active jobs", anchor=False)
        agents.at_work(streams)
    with st.container():
        st.header("Dispatches", anchor=False)
        agents.asked_for(runtime.rooms.snapshot.rooms, streams)
    with st.container():
        st.header("Workers", anchor=False)
        agents.worker(runtime.worker, most_jobs=runtime.settings.switchboard_worker_max_jobs)
        agents.registered(runtime.embedded.workers if runtime.embedded is not None else None)


title("Agents")
if session_id:
    at_work()
    agents.graphs()
else:
    text_chat.show_failure()
    agents.graphs()
    at_work()
