"""Drawing what an agent in a session may be told."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.ui import bridge
from dashboard.ui.actions import attempt, show_failure
from services.agents.stream import Stream
from services.errors import ConflictError, InvalidInputError
from services.store.agent_records import CommandRecord, CommandStatus
from switchboard_recorder.protocol import Action

_KEY: Final = "session.tell"


def tell(session_id: str, stream: Stream | None) -> None:
    """Say something by the agent, whisper to it, pause it, hand over, end politely."""
    if stream is None:
        st.caption("No agent is connected; a command would wait for one some seconds.")
        return
    able = set(stream.hello.actions)
    if not able:
        st.caption("This agent takes no commands: its recorder was given no handler.")
        return
    text = st.text_input(
        "Text", key=f"{_KEY}.text", placeholder="what to say, or to whisper", max_chars=2_000
    )
    with st.container(horizontal=True):
        if Action.SAY in able:
            _button("Say", session_id, Action.SAY, text, "record_voice_over", "Spoken as it is.")
        if Action.WHISPER in able:
            _button(
                "Whisper", session_id, Action.WHISPER, text, "hearing", "The caller hears nothing."
            )
        if Action.PAUSE in able:
            _button("Pause", session_id, Action.PAUSE, "", "pause", "It neither hears nor answers.")
        if Action.RESUME in able:
            _button("Resume", session_id, Action.RESUME, "", "play_arrow", "After a pause.")
        if Action.TAKE_OVER in able:
            _button("Hand over", session_id, Action.TAKE_OVER, "", "swap_horiz", "A person speaks.")
        if Action.END_SESSION in able:
            _button(
                "End politely",
                session_id,
                Action.END_SESSION,
                "",
                "waving_hand",
                "With a good-bye.",
            )
    show_failure(_KEY)


def _button(
    label: str, session_id: str, action: Action, text: str, icon: str, explained: str
) -> None:
    clicked = st.button(
        label, key=f"{_KEY}.{action.value}", icon=f":material/{icon}:", help=explained
    )
    if clicked:
        attempt(_KEY, lambda: _send(session_id, action, text), done=f"{label}: done.")


def _send(session_id: str, action: Action, text: str) -> None:
    wants_text = action in {Action.SAY, Action.WHISPER}
    if wants_text and not text.strip():
        raise InvalidInputError(
            "The text is empty.", hint="Write what to say, then press it again."
        )
    commands = bridge.runtime().jobs.commands
    args = {"text": text.strip()} if wants_text else {}
    see_done(bridge.write(lambda caller: commands.send(session_id, action, args, actor=caller)))


def see_done(command: CommandRecord) -> None:
    """Say what became of a command that was not carried out, or not yet.

    Raises:
        ConflictError: the agent refused it, failed, or has not answered so far.
    """
    if command.status is CommandStatus.DONE:
        return
    if command.status.is_open:
        raise ConflictError(
            "The agent has not answered yet.",
            hint="It is tried until its time is over; the session shows what became of it.",
        )
    raise ConflictError(
        command.detail or f"The command is {command.status.value}.",
        hint="Look at how the session stands now, then try again.",
    )
