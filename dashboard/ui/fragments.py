"""Parts of a page that redraw by themselves, and draw their errors in their own place.

An exception in a Streamlit fragment never reaches the page around it: Streamlit shows its own
text for it. And a part that failed would no longer listen, and so never come back by itself.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import streamlit as st
from streamlit.errors import FragmentHandledException

from dashboard.components.live import MAX_PER_SECOND, live
from dashboard.ui import bridge, dialogs, feedback
from services.errors import SwitchboardError

log = logging.getLogger(__name__)


def live_part(
    *topics: str, key: str, max_per_second: float = MAX_PER_SECOND
) -> Callable[[Callable[[], object]], Callable[[], None]]:
    """Make a drawing function a part that is drawn anew when one of the topics changes.

    What it raises is drawn in its place, and it goes on listening. `key` names it on its page.
    Dialogs are drawn by the page, outside of it (`dialogs`).
    """

    def decorate(draw: Callable[[], object]) -> Callable[[], None]:
        @functools.wraps(draw)
        def guarded() -> None:
            dialogs.let_page_draw()
            run(draw, key=key)
            try:
                live(bridge.live_ticket(*topics), key=f"{key}.live", max_per_second=max_per_second)
            except SwitchboardError as error:
                feedback.show_error(error, key=f"{key}.live.error")

        return st.fragment(guarded)

    return decorate


def run(draw: Callable[[], object], *, key: str) -> None:
    """Call `draw`; what it raises is drawn instead, and what nobody expected is logged."""
    try:
        draw()
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{key}.error")
    except FragmentHandledException:  # a fragment in it, whose error is drawn already
        raise
    except Exception:
        log.exception("a part of a page failed", extra={"part": key})
        feedback.show_error(feedback.UNEXPECTED, key=f"{key}.error")
