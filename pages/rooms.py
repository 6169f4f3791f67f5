"""Rooms: what is open now, and the way into each room."""

from __future__ import annotations

import streamlit as st

from dashboard.components.rooms_table import rooms_table
from dashboard.rooms import page as rooms
from dashboard.ui import bridge, nav

_TABLE = "rooms.table"

chosen = st.session_state.get(_TABLE)
rooms.header(tuple(chosen["selected"]) if chosen and chosen.get("selected") else ())
result = rooms_table(
    bridge.live_ticket("rooms"), room_href=nav.link_url("room", name=""), key=_TABLE
)
rooms.create_dialog()
rooms.end_dialog()
if result.opened is not None:
    nav.go("room", name=result.opened)
