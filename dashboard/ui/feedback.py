"""What a page says when there is nothing to show, something is wrong, or something is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import streamlit as st

from dashboard.ui import format as fmt
from dashboard.ui import viewer
from services.clock import utc_now
from services.errors import InvalidInputError, SwitchboardError

UNDO_S: Final = 15  # how long an undo is offered
_FLASHES: Final = "feedback.flashes"
_AGAIN: Final = timedelta(milliseconds=500)
UNEXPECTED: Final = SwitchboardError(
    "This part of the page failed to load.",
    hint="Details are in System > Logs. Reload the page. If the error persists, report it.",
)


def show_error(error: SwitchboardError, *, key: str, retry: bool = True) -> None:
    """What happened and what to do next; with a button to try again where that may help.

    `retry=False` leaves that button out, where another one does it. What may pass by itself, and what the reader can mend, is drawn as a warning.
    """
    text = fmt.md(str(error))
    with st.container(horizontal=True, vertical_alignment="center"):
        if error.retryable or isinstance(error, InvalidInputError):
            st.warning(text, title=error.title, icon=":material/warning:")
        else:
            st.error(text, title=error.title, icon=":material/error:")
        if retry and error.retryable:
            # A click reruns what it stands in, and that is the retry.
            st.button("Try again", key=f"{key}.retry", icon=":material/refresh:")


def show_stale(error: SwitchboardError, *, since: datetime | None, key: str) -> None:
    """Above figures that are old because their source is away: why, and how old they are."""
    show_error(error, key=key)
    if since is not None:
        age = fmt.ago(since, now=utc_now())
        st.caption(f"Showing data from {viewer.moment(since)} ({age}).")


def show_empty(
    text: str,
    *,
    hint: str = "",
    icon: str = ":material/inbox:",
    action: Callable[[], object] | None = None,
) -> None:
    """A place with nothing in it: what is not there, and what would put something there.

    `text` and `hint` are our own words. `action` draws the button or link that helps.
    """
    with st.container(border=True, horizontal_alignment="center", gap="xsmall"):
        st.space("small")
        st.markdown(f":gray[{icon}] **{text}**", width="content")
        if hint:
            st.caption(hint, width="content", text_alignment="center")
        if action is not None:
            action()
        st.space("small")


def show_loading(lines: int = 4, *, height: int = 40) -> None:
    """The shape of `lines` rows of `height` pixels that are on their way."""
    for _ in range(lines):
        st.skeleton(height)


@dataclass(slots=True, kw_only=True)
class _Flash:
    text: str
    icon: str
    undo: Callable[[], object] | None
    at: datetime
    drawn: bool = False
    shown_at: datetime | None = None  # the end of the first run that drew it


def flash(
    text: str,
    *,
    icon: str = ":material/check_circle:",
    undo: Callable[[], object] | None = None,
) -> None:
    """Say what was done, in the next run: it survives `st.rerun` and a change of page.

    With `undo` it stays for `UNDO_S` seconds beside a button that calls it.
    """
    waiting: list[_Flash] = st.session_state.setdefault(_FLASHES, [])
    waiting.append(_Flash(text=text, icon=icon, undo=undo, at=utc_now()))


def show_flashes() -> None:
    """Draw what `flash` left; called once a run, above the page.

    A run that another one cuts short, or follows at once, may not have reached the reader:
    Streamlit 1.67 drops what it has not sent by then (`runtime/forward_msg_queue.py`, `clear`). So
    the runs of the next half second say it again; the browser takes the same toast for one.
    """
    waiting: list[_Flash] = st.session_state.get(_FLASHES, [])
    st.session_state[_FLASHES] = waiting = [note for note in waiting if _lasts(note)]
    said = [note for note in waiting if note.undo is None]
    for note in said:
        note.drawn = True
        st.toast(note.text, icon=note.icon)
    if len(said) < len(waiting):
        st.fragment(_offer_undo, run_every=UNDO_S)()


def flashes_were_shown() -> None:
    """A run came to its end; called there."""
    waiting: list[_Flash] = st.session_state.get(_FLASHES, [])
    for note in waiting:
        if note.drawn and note.shown_at is None:
            note.shown_at = utc_now()


def _offer_undo() -> None:
    notes: list[_Flash] = st.session_state.get(_FLASHES, [])
    for note in list(notes):
        if note.undo is None or not _lasts(note):
            continue
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f":green[{note.icon}] {note.text}")
            st.space("stretch")
            key = f"{_FLASHES}.{note.at.timestamp()}"
            if st.button("Undo", key=key, icon=":material/undo:"):
                notes.remove(note)
                try:
                    note.undo()
                except SwitchboardError as error:
                    show_error(error, key=f"{key}.error")
                    return
                flash("Undone")
                st.rerun()


def _lasts(note: _Flash) -> bool:
    now = utc_now()
    if note.shown_at is not None:
        return now < note.shown_at + _AGAIN
    return (now - note.at).total_seconds() < UNDO_S
