"""Dialogs, run by Streamlit's own test driver: no browser, no server."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from dashboard.ui import dialogs, feedback
    from services.errors import LiveKitUnavailableError

    feedback.show_flashes()
    st.session_state.setdefault("ended", [])

    def end() -> None:
        if st.session_state.get("refuse"):
            raise LiveKitUnavailableError("LiveKit did not answer.", hint="See that it runs.")
        st.session_state.ended.append((dialogs.asked("end") or {})["name"])

    st.button("End…", key="open", on_click=dialogs.ask, args=("end",), kwargs={"name": "a"})
    st.button("Other…", key="other", on_click=dialogs.ask, args=("other",))
    st.button("Redraw", key="redraw")
    dialogs.confirm(
        "end",
        title="End *a*?",
        body="It closes at once.",
        consequences=lambda: ["2 people are put out.", "Its name is never used again."],
        button="End room",
        on_confirm=end,
        done="Room a ended.",
    )
    dialogs.confirm(
        "other", title="Other?", body="Body.", button="Do it", on_confirm=end, done="Done."
    )
    feedback.flashes_were_shown()


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(page).run()


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_nothing_is_asked_until_somebody_asks(app: AppTest) -> None:
    assert labels(app) == ["End…", "Other…", "Redraw"]


def test_it_says_what_will_happen_and_does_nothing_yet(app: AppTest) -> None:
    app.button(key="open").click().run()
    texts = [text.value for text in app.markdown]
    assert texts == [
        "It closes at once.",
        "- 2 people are put out.\n- Its name is never used again.",
    ]
    assert labels(app)[-2:] == ["Cancel", "End room"]
    assert app.session_state.ended == []


def test_it_stays_open_whatever_reruns_the_page(app: AppTest) -> None:
    app.button(key="open").click().run()
    app.button(key="redraw").click().run()
    app.run()
    assert labels(app)[-1] == "End room"


def test_cancel_closes_it_and_nothing_was_done(app: AppTest) -> None:
    app.button(key="open").click().run()
    app.button(key="end.cancel").click().run()
    assert labels(app) == ["End…", "Other…", "Redraw"]
    assert app.session_state.ended == []


def test_yes_does_it_once_closes_and_says_so(app: AppTest) -> None:
    app.button(key="open").click().run()
    app.button(key="end.confirm").click().run()
    assert app.session_state.ended == ["a"]
    assert labels(app) == ["End…", "Other…", "Redraw"]
    assert [toast.value for toast in app.toast] == ["Room a ended."]
    app.run()
    assert app.session_state.ended == ["a"]


def test_a_failure_is_shown_in_it_and_can_be_tried_again(app: AppTest) -> None:
    app.session_state["refuse"] = True
    app.button(key="open").click().run()
    app.button(key="end.confirm").click().run()
    assert "LiveKit did not answer" in app.warning[0].value
    assert labels(app)[-2:] == ["Cancel", "End room"]
    assert not app.button(key="end.confirm").disabled
    app.session_state["refuse"] = False
    app.button(key="end.confirm").click().run()
    assert app.session_state.ended == ["a"]
    assert len(app.warning) == 0


def test_only_one_is_open_at_a_time(app: AppTest) -> None:
    app.button(key="open").click().run()
    app.button(key="other").click().run()
    assert labels(app)[-2:] == ["Cancel", "Do it"]


def test_an_attempt_that_was_cut_off_is_not_called_done(app: AppTest) -> None:
    from dashboard.ui.dialogs import _Step

    app.button(key="open").click().run()
    app.session_state["dialogs.open"].step = _Step.RUNNING
    app.run()
    assert "result of this action is unknown" in app.warning[0].value
    assert app.session_state.ended == []
    assert labels(app)[-1] == "End room"
