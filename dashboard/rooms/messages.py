"""Writing to a room: a message to who is in it, and its metadata."""

from __future__ import annotations

import json
from collections.abc import Callable

import streamlit as st

from dashboard.ui import bridge, drafts
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.errors import InvalidInputError
from services.rooms.views import RoomView

_ALL = "everyone"
_HEIGHT_PX = 150
_FIELD_PX = 150


def message_form(view: RoomView) -> None:
    """Send a data packet to everybody or to some."""
    key = f"room.message.{view.room.sid}"
    identities = [p.identity for p in view.participants if not p.is_observer]
    with st.form(key, height="stretch"):
        text = st.text_area(
            "Message",
            key=drafts.draft_key(key),
            placeholder="Text to send",
            height=_HEIGHT_PX,
        )
        grid = st.grid(2, min_column_width=_FIELD_PX)
        to = grid.multiselect(
            "To", identities, key=f"{key}.to", placeholder=_ALL, format_func=fmt.plain
        )
        topic = grid.text_input(
            "Topic",
            placeholder="none",
            key=f"{key}.topic",
            help="The topic of the data packet. Apps use it to tell packets apart.",
        )
        clicked = st.form_submit_button("Send message", key=f"{key}.send", icon=":material/send:")

    def send() -> None:
        if not text.strip():
            raise InvalidInputError("The message is empty.", hint="Enter a message.")
        actions = bridge.runtime().actions
        bridge.write(
            lambda caller: actions.send_message(
                view.name, text, topic=topic, identities=tuple(to), actor=caller
            )
        )
        drafts.sent(key)

    if clicked:
        who = fmt.md(fmt.listing(to)) if to else _ALL
        attempt(key, send, done=f"Message sent to {who}")
    show_failure(key)


def metadata_form(view: RoomView) -> None:
    """Replace the room's metadata; everybody in it is told."""
    key = f"room.metadata.{view.room.sid}"
    now = _pretty(view.room.metadata)
    base = st.session_state.setdefault(f"{key}.base", now)
    with st.form(key, height="stretch"):
        text = st.text_area(
            "Metadata",
            value=base,
            key=f"{key}.text",
            height=_HEIGHT_PX,
            help="All participants can read it. Switchboard marks its own rooms with the key "
            "`switchboard`.",
        )
        as_json = st.checkbox("Validate as JSON", value=True, key=f"{key}.json")
        saved = st.form_submit_button("Save metadata", key=f"{key}.save", icon=":material/save:")

    def save() -> None:
        if as_json and text.strip():
            _check(text)
        actions = bridge.runtime().actions
        bridge.write(lambda caller: actions.update_metadata(view.name, text, actor=caller))
        st.session_state[f"{key}.base"] = _pretty(text)

    if saved:
        attempt(key, save, done="Metadata saved")
    show_failure(key)
    if now != base:
        _changed_meanwhile(key, lambda: _load(key, now))


def _changed_meanwhile(key: str, load: Callable[[], None]) -> None:
    """What somebody is typing is not replaced under their hands: they are asked."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("The metadata has changed since you opened this page.", width="content")
        st.button("Load current metadata", key=f"{key}.load", type="tertiary", on_click=load)


def _load(key: str, text: str) -> None:
    st.session_state[f"{key}.base"] = st.session_state[f"{key}.text"] = text


def _check(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as exc:
        raise InvalidInputError(
            f"The metadata is not valid JSON: {exc}.",
            hint="Correct it, or clear “Validate as JSON”.",
        ) from None


def _pretty(metadata: str) -> str:
    try:
        return json.dumps(json.loads(metadata), indent=2, ensure_ascii=False)
    except ValueError:  # metadata may be any text
        return metadata
