"""Drawing the commands to the agent of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import streamlit as st

from dashboard.ui import bridge
from dashboard.ui.actions import attempt, show_failure
from services.agents.stream import Stream
from services.errors import ConflictError, InvalidInputError
from services.store.agent_records import CommandRecord, CommandStatus
from switchboard_recorder.protocol import Action

_KEY: Final = "session.tell"


@dataclass(frozen=True, slots=True)
class _Button:
    """`done`: the toast after the command."""

    label: str
    icon: str
    help: str
    done: str


_BUTTONS: Final = {
    Action.SAY: _Button(
        "Say to caller",
        "record_voice_over",
        "The agent speaks the message word for word.",
        "Message spoken",
    ),
    Action.WHISPER: _Button(
        "Whisper to agent", "hearing", "The caller doesn't hear it.", "Whisper sent"
    ),
    Action.PAUSE: _Button(
        "Pause", "pause", "The agent stops listening and answering.", "Agent paused"
    ),
    Action.RESUME: _Button(
        "Resume", "play_arrow", "The agent listens and answers again.", "Agent resumed"
    ),
    Action.TAKE_OVER: _Button(
        "Take over",
        "swap_horiz",
        "The agent announces you and stays silent.",
        "You have taken over. The agent is silent.",
    ),
    Action.END_SESSION: _Button(
        "End call with goodbye",
        "waving_hand",
        "The agent says goodbye, then the session ends.",
        "The agent ends the call",
    ),
}


def tell(session_id: str, stream: Stream | None) -> None:
    """A message field, and a button for each command that the agent accepts."""
    if stream is None:
        st.caption("No agent connected.")
        return
    able = set(stream.hello.actions)
    if not able:
        st.caption("This agent doesn't accept commands: its recorder has no command handler.")
        return
    text = st.text_input(
        "Message", key=f"{_KEY}.text", placeholder="Text to say or whisper", max_chars=2_000
    )
    with st.container(horizontal=True):
        if Action.SAY in able:
            _button(Action.SAY, session_id, text)
        if Action.WHISPER in able:
            _button(Action.WHISPER, session_id, text)
        if Action.PAUSE in able:
            _button(Action.PAUSE, session_id)
        if Action.RESUME in able:
            _button(Action.RESUME, session_id)
        if Action.TAKE_OVER in able:
            _button(Action.TAKE_OVER, session_id)
        if Action.END_SESSION in able:
            _button(Action.END_SESSION, session_id)
    show_failure(_KEY)


def _button(action: Action, session_id: str, text: str = "") -> None:
    button = _BUTTONS[action]
    clicked = st.button(
        button.label,
        key=f"{_KEY}.{action.value}",
        icon=f":material/{button.icon}:",
        help=button.help,
    )
    if clicked:
        attempt(_KEY, lambda: _send(session_id, action, text), done=button.done)


def _send(session_id: str, action: Action, text: str) -> None:
    wants_text = action in {Action.SAY, Action.WHISPER}
    if wants_text and not text.strip():
        raise InvalidInputError("The message is empty.", hint="Enter a message, then try again.")
    commands = bridge.runtime().jobs.commands
    args = {"text": text.strip()} if wants_text else {}
    see_done(bridge.write(lambda caller: commands.send(session_id, action, args, actor=caller)))


def see_done(command: CommandRecord) -> None:
    """Raise unless the command was carried out.

    Raises:
        ConflictError: the agent refused it, failed, or has not answered so far.
    """
    if command.status is CommandStatus.DONE:
        return
    if command.status.is_open:
        raise ConflictError(
            "The agent has not answered yet.",
            hint="Switchboard retries until the command times out. See the events of the session.",
        )
    raise ConflictError(
        command.detail or f"The command is {command.status.value}.",
        hint="Check the state of the session, then try again.",
    )
