"""System: how every part does, the LiveKit server, the doctor, logs and settings."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard import bridge, doctor, system, system_logs, system_server
from dashboard.components.live import live
from dashboard.title import title

shared = doctor.shared_system()


@st.fragment(run_every="3s")
def how_it_stands() -> None:
    doctor.summary(shared.doctor)


@st.fragment(run_every="2s")
def status() -> None:
    system.status(bridge.read(shared.read))


@st.fragment(run_every="2s")
def livekit() -> None:
    view = bridge.read(shared.read)
    system_server.server(view)
    system_server.metrics(bridge.read(shared.metrics))
    system_server.workers(view)


@st.fragment(run_every="3s")
def examination() -> None:
    doctor.examination(shared.doctor)


@st.fragment(run_every="2s")
def logs() -> None:
    system_logs.logs(shared, embedded=bridge.runtime().embedded is not None)


title("System")
how_it_stands()
system.open_tab(
    {
        "status": status,
        "livekit": livekit,
        "doctor": examination,
        "logs": logs,
        "settings": partial(system.settings, bridge.runtime().settings),
    }
)
system_server.restart_dialog(shared)
live(bridge.live_ticket("system"), key="system.live", max_per_second=1)
