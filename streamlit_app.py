"""Switchboard: `streamlit run streamlit_app.py`. No UI and no logic here."""

import streamlit as st

from api import server

app = st.App(
    "dashboard/main.py",
    lifespan=server.lifespan,
    routes=server.routes(),
    middleware=server.middleware(),
)
