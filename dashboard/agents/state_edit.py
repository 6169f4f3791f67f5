"""Changing a graph's state, or going back to an earlier one: at rest only, and asked before."""

from __future__ import annotations

import json
from typing import Any, Final

import streamlit as st

from dashboard.agents.commands import see_done
from dashboard.ui import bridge, dialogs, feedback, viewer
from dashboard.ui import format as fmt
from services.errors import InvalidInputError
from services.store.records import StoredEvent
from switchboard_recorder.protocol import Action

_KEY: Final = "session.edit"
_ASK: Final = "session.edit.ask"
_NOTHING: Final = "(none: only rewind)"


def draw(session_id: str) -> None:
    """The form, where the session's agent can do it; nothing where it cannot."""
    runtime = bridge.runtime()
    stream = runtime.jobs.streams.of_session(session_id)
    if stream is None or Action.UPDATE_STATE.value not in stream.hello.actions:
        return
    with st.expander("Edit state", icon=":material/edit_note:", key=_KEY):
        saved = bridge.read(lambda: runtime.store.agents.saved_states(session_id))
        if not saved:
            st.caption("No state recorded.")
            return
        st.caption(
            "Edit the state while the graph is idle or interrupted. Reducers apply: new messages "
            "are merged, for example. The caller is not informed."
        )
        resting = {
            str(one.event.data.get("checkpoint_id")): one
            for one in saved[1:]
            if one.event.data.get("next") == [] and one.event.data.get("checkpoint_id")
        }
        chosen = st.selectbox(
            "Checkpoint",
            ["", *resting],
            format_func=lambda one: _when(resting[one]) if one else "Current state",
            key=f"{_KEY}.from",
        )
        start = resting.get(chosen, saved[0])
        _channel(session_id, start, chosen)


def _channel(session_id: str, start: StoredEvent, checkpoint_id: str) -> None:
    store = bridge.runtime().store
    found = bridge.read(lambda: store.agents.event(session_id, start.event.id)).event.data
    values = found.get("values")
    values = values if isinstance(values, dict) else {}
    nothing = [_NOTHING] if checkpoint_id else []
    channel = st.selectbox(
        "Key", [*nothing, *sorted(values)], format_func=fmt.plain, key=f"{_KEY}.channel"
    )
    text = ""
    if channel is not None and channel != _NOTHING:
        before = json.dumps(values.get(channel), indent=2, ensure_ascii=False)
        text = st.text_area(
            "New value (JSON)",
            before,
            key=f"{_KEY}.value.{start.event.id}.{channel}",
            height="content",
        )
    if st.button("Review changes", key=f"{_KEY}.go", icon=":material/edit:"):
        try:
            _ask(channel, text, checkpoint_id, _when(start))
        except InvalidInputError as error:
            feedback.show_error(error, key=f"{_KEY}.bad", retry=False)
        else:
            st.rerun()


def _when(saved: StoredEvent) -> str:
    step = saved.event.data.get("step")
    return f"step {step}, {viewer.moment(saved.event.at)}"


def _ask(channel: str | None, text: str, checkpoint_id: str, when: str) -> None:
    changes: dict[str, Any] = {}
    if channel is None:
        raise InvalidInputError("No key is chosen.", hint="Choose the key to change.")
    if channel != _NOTHING:
        try:
            changes[channel] = json.loads(text)
        except ValueError as exc:
            raise InvalidInputError(
                f"The new value is not valid JSON: {exc}.", hint="Correct it. Nothing was changed."
            ) from exc
    dialogs.ask(_ASK, changes=changes, checkpoint_id=checkpoint_id, when=when)


def dialog(session_id: str) -> None:
    """Asks before the state is changed."""
    asked = dialogs.asked(_ASK)
    if asked is None:
        return
    commands = bridge.runtime().jobs.commands
    changes, checkpoint_id = asked["changes"], str(asked["checkpoint_id"])
    what = fmt.listing([fmt.code(name) for name in changes]) or "no key"
    dialogs.confirm(
        _ASK,
        title="Edit the agent's state?",
        body=f"Changes {what}"
        + (f", starting from {fmt.md(asked['when'])}." if checkpoint_id else "."),
        consequences=lambda: [
            "The graph continues with the new state. You can't undo this, but you can go back "
            "to an earlier checkpoint.",
            "A pending interrupt is raised again.",
            *(["The graph forgets everything after that checkpoint."] if checkpoint_id else []),
        ],
        button="Edit state",
        on_confirm=lambda: see_done(
            bridge.write(
                lambda caller: commands.send(
                    session_id,
                    Action.UPDATE_STATE,
                    {"values": changes, "checkpoint_id": checkpoint_id},
                    actor=caller,
                )
            )
        ),
        done="State updated",
    )
