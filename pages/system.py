"""System: how every part does, the LiveKit server, the doctor, logs and settings."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.components.live import live
from dashboard.system import doctor, livekit_server, system_logs
from dashboard.system import page as system
from dashboard.ui import bridge
from dashboard.ui.title import title

shared = bridge.runtime().system


@st.fragment(run_every="3s")
def summary() -> None:
    doctor.summary(shared.doctor)


@st.fragment(run_every="2s")
def status() -> None:
    system.status(bridge.read(shared.read))


@st.fragment(run_every="2s")
def livekit() -> None:
    view = bridge.read(shared.read)
    livekit_server.server(view)
    livekit_server.metrics(bridge.read(shared.metrics))
    livekit_server.workers(view)


@st.fragment(run_every="3s")
def examination() -> None:
    doctor.examination(shared.doctor)


@st.fragment(run_every="2s")
def logs() -> None:
    system_logs.logs(shared, embedded=bridge.runtime().embedded is not None)


title("System")
summary()
system.open_tab(
    {
        "status": status,
        "livekit": livekit,
        "doctor": examination,
        "logs": logs,
        "settings": partial(system.settings, bridge.runtime().settings),
    }
)
livekit_server.restart_dialog(shared)
live(bridge.live_ticket("system"), key="system.live", max_per_second=1)
