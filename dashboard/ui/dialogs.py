"""Dialogs that stay open until they are answered, whatever reruns the page meanwhile.

Streamlit closes a dialog when a run does not draw it again, and our pages rerun whenever
something changes. So which dialog is open is kept in the session, and each run draws it again.

A dialog is drawn by the page, never by a part of it that redraws by itself: where one run of
such a part follows another at once, Streamlit 1.67 drops the dialog of the first and keeps what
is in it (`runtime/forward_msg_queue.py`, `clear`), and the browser's whole page goes blank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import streamlit as st

from dashboard.components.live import live
from dashboard.ui import bridge, feedback
from dashboard.ui import format as fmt
from services.errors import SwitchboardError, UnavailableError

_SLOT: Final = "dialogs.open"
_PAGE: Final = "dialogs.page"


class _Step(StrEnum):
    WAITING = "waiting"  # for the reader
    WANTED = "wanted"  # the reader has said yes
    RUNNING = "running"
    DONE = "done"


@dataclass(slots=True)
class _Open:
    """The open dialog: its key, what it is about, and how far its action has come."""

    key: str
    facts: dict[str, Any]
    step: _Step = _Step.WAITING
    error: SwitchboardError | None = None
    drawn: bool = False  # whether the page has been drawn since it was asked for


def ask(key: str, **facts: Any) -> None:
    """Open the dialog `key`; it closes any other. `facts` come back from `asked`.

    As a button's `on_click`, or in the script before the dialog is drawn.
    """
    st.session_state[_SLOT] = _Open(key, facts)


def begin_page(name: str) -> None:
    """The page of that name is being drawn; a dialog of another page closes."""
    if st.session_state.get(_PAGE) != name:
        st.session_state[_PAGE] = name
        close()
    if (slot := st.session_state.get(_SLOT)) is not None:
        slot.drawn = True


def let_page_draw() -> None:
    """Begin a part that redraws by itself: has the page draw the dialog asked for in there."""
    slot: _Open | None = st.session_state.get(_SLOT)
    if slot is not None and not slot.drawn:
        slot.drawn = True
        st.rerun()


def asked(key: str) -> dict[str, Any] | None:
    """The facts of the dialog `key`, or None when it is not open."""
    slot = _find(key)
    return None if slot is None else slot.facts


def close() -> None:
    """Close whichever dialog is open."""
    st.session_state.pop(_SLOT, None)


def confirm(
    key: str,
    *,
    title: str,
    body: str,
    consequences: Callable[[], Sequence[str]] = tuple,
    topics: Sequence[str] = (),
    button: str,
    on_confirm: Callable[[], object],
    done: str,
    icon: str = ":material/warning:",
) -> None:
    """Ask before something is destroyed. Draws only while `ask(key)` holds; call it every run.

    `title` names the object, as plain text. `body` and `consequences` (what happens to whom) are
    markdown; these are told anew whenever one of `topics` changes. `on_confirm` runs once, while
    the buttons are locked; a `SwitchboardError` of it is shown in the dialog, which stays open;
    else the dialog closes and `done` is flashed.
    """
    slot = _find(key)
    if slot is None:
        return
    if slot.step is _Step.DONE:
        _finish(done)
        return

    @st.dialog(fmt.md(title), icon=icon, on_dismiss=close)
    def draw() -> None:
        if _find(key) is not slot:  # dismissed just as something changed: only this part runs
            st.rerun()
        st.markdown(body)
        if lines := consequences():
            st.markdown("\n".join(f"- {line}" for line in lines))
        _show_error(slot)
        locked = slot.step is _Step.WANTED
        with st.container(horizontal=True, horizontal_alignment="right"):
            # Cancel comes first: it is what the keyboard reaches first.
            if st.button("Cancel", key=f"{key}.cancel", disabled=locked):
                close()
                st.rerun()
            st.button(
                button,
                key=f"{key}.confirm",
                type="primary",
                icon="spinner" if locked else None,
                disabled=locked,
                on_click=_want,
                args=(slot,),
            )
        if locked:
            _carry_out(slot, on_confirm)
            st.rerun()
        if topics:
            live(bridge.live_ticket(*topics), key=f"{key}.live")

    draw()


_UNKNOWN: Final = UnavailableError(
    "The result of this action is unknown.", hint="Check its effect before you try again."
)


def _show_error(slot: _Open) -> None:
    if slot.step is _Step.RUNNING:  # its run was stopped before it could tell
        slot.step, slot.error = _Step.WAITING, _UNKNOWN
    if slot.error is not None:
        feedback.show_error(slot.error, key=f"{slot.key}.error", retry=False)


def _want(slot: _Open) -> None:
    slot.step, slot.error = _Step.WANTED, None


def _carry_out(slot: _Open, on_confirm: Callable[[], object]) -> None:
    """No Streamlit call in here: each is a place where a rerun may end this one."""
    slot.step = _Step.RUNNING
    try:
        on_confirm()
    except SwitchboardError as error:
        slot.step, slot.error = _Step.WAITING, error
    else:
        slot.step = _Step.DONE


def _finish(done: str) -> None:
    close()
    feedback.flash(done)
    st.rerun()


def _find(key: str) -> _Open | None:
    slot: _Open | None = st.session_state.get(_SLOT)
    return slot if slot is not None and slot.key == key else None
