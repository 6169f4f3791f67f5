"""Writing to a room: a message to who is in it, and its metadata. Apart from what reruns live."""

from __future__ import annotations

import json

import streamlit as st

from dashboard import bridge, feedback
from dashboard import format as fmt
from services.errors import BadInputError, SwitchboardError
from services.rooms_view import RoomView

_ALL = "everybody"


def message_form(view: RoomView) -> None:
    """Send a data packet to everybody or to some."""
    actions = bridge.runtime().actions
    identities = [p.identity for p in view.participants if not p.is_observer]
    with st.form("room.message", clear_on_submit=False, border=True):
        text = st.text_area("Message", key="room.message.text", placeholder="What they should get")
        left, right = st.columns(2)
        to = left.multiselect("To", identities, key="room.message.to", placeholder=_ALL)
        topic = right.text_input(
            "Topic",
            placeholder="none",
            key="room.message.topic",
            help="The data packet's topic, by which apps tell packets apart.",
        )
        sent = st.form_submit_button("Send", key="room.message.send", icon=":material/send:")
    if not sent:
        return
    try:
        if not text.strip():
            raise BadInputError("The message is empty.", hint="Write something first.")
        bridge.write(
            lambda: actions.send_message(
                view.name, text, topic=topic, identities=tuple(to), actor=bridge.ACTOR
            )
        )
    except SwitchboardError as error:
        feedback.show_error(error, key="room.message.error")
    else:
        st.success(f"Sent to {fmt.md(fmt.listing(to)) if to else _ALL}.", icon=":material/check:")


def metadata_form(view: RoomView) -> None:
    """Replace the room's metadata; everybody in it is told."""
    actions = bridge.runtime().actions
    with st.form("room.metadata", border=True):
        text = st.text_area(
            "Metadata",
            value=_pretty(view.room.metadata),
            key="room.metadata.text",
            height=160,
            help="Everybody in the room can read it. `switchboard` marks rooms of ours.",
        )
        as_json = st.checkbox("Check that it is JSON", value=True, key="room.metadata.json")
        saved = st.form_submit_button("Save", key="room.metadata.save", icon=":material/save:")
    if not saved:
        return
    try:
        if as_json and text.strip():
            _check(text)
        bridge.write(lambda: actions.update_metadata(view.name, text, actor=bridge.ACTOR))
    except SwitchboardError as error:
        feedback.show_error(error, key="room.metadata.error")
    else:
        st.success("Saved; everybody in the room was told.", icon=":material/check:")


def _check(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as exc:
        raise BadInputError(
            f"This is not JSON: {exc}.", hint="Correct it, or do not check."
        ) from None


def _pretty(metadata: str) -> str:
    try:
        return json.dumps(json.loads(metadata), indent=2, ensure_ascii=False)
    except ValueError:  # metadata may be any text
        return metadata
