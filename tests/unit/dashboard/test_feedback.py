"""What pages say, run by Streamlit's own test driver: no browser, no server."""

from __future__ import annotations

from datetime import timedelta

from streamlit.testing.v1 import AppTest


def errors() -> None:
    from datetime import timedelta

    from dashboard.ui import feedback
    from services.clock import utc_now
    from services.errors import InvalidInputError, LiveKitUnavailableError, PermissionDeniedError

    feedback.show_error(
        PermissionDeniedError("You may not *end* rooms.", hint="Ask an operator."), key="a"
    )
    feedback.show_error(InvalidInputError("The name is too long.", field="name"), key="b")
    away = LiveKitUnavailableError("LiveKit cannot be reached.", hint="See that it runs.")
    feedback.show_stale(away, since=utc_now() - timedelta(seconds=74), key="c")
    feedback.show_error(away, key="d", retry=False)


def test_errors_say_what_happened_and_what_to_do_next() -> None:
    app = AppTest.from_function(errors).run()
    assert not app.exception
    assert [box.value for box in app.error] == ["You may not \\*end\\* rooms\\. Ask an operator\\."]
    assert app.warning[0].value == "The name is too long\\."
    assert app.warning[1].value.endswith("See that it runs\\.")


def test_only_what_may_pass_by_itself_can_be_tried_again() -> None:
    app = AppTest.from_function(errors).run()
    assert [button.key for button in app.button] == ["c.retry"]


def test_old_figures_say_how_old_they_are() -> None:
    app = AppTest.from_function(errors).run()
    assert "1m 14s ago" in app.caption[0].value


def empty() -> None:
    import streamlit as st

    from dashboard.ui import feedback

    feedback.show_empty("No session yet.", hint="Start one.", action=lambda: st.button("Start"))


def test_an_empty_place_says_what_would_fill_it() -> None:
    app = AppTest.from_function(empty).run()
    assert "No session yet." in app.markdown[0].value
    assert app.caption[0].value == "Start one."
    assert app.button[0].label == "Start"


def flashes() -> None:
    import streamlit as st

    from dashboard.ui import feedback
    from services.errors import ConflictError

    feedback.show_flashes()

    def undo() -> None:
        if st.session_state.get("refuse"):
            raise ConflictError("The room is gone.")
        st.session_state["undone"] = True

    if st.button("Do", key="do"):
        feedback.flash("Done.")
        feedback.flash("Metadata replaced.", undo=undo)
        st.rerun()
    if st.session_state.pop("cut short", False):
        st.stop()  # as by a run that overtakes this one
    feedback.flashes_were_shown()


def test_a_flash_survives_the_rerun_that_follows_and_comes_once() -> None:
    app = AppTest.from_function(flashes).run()
    app.button(key="do").click().run()
    assert [toast.value for toast in app.toast] == ["Done."]
    app.run()  # a run that follows at once, as after a live tick: the first may not have been sent
    assert [toast.value for toast in app.toast] == ["Done."]
    later(app)
    app.run()
    assert len(app.toast) == 0


def later(app: AppTest) -> None:
    """Half a second passes for what was shown."""
    for note in app.session_state["feedback.flashes"]:
        if note.shown_at is not None:
            note.shown_at -= timedelta(seconds=1)


def test_a_flash_of_a_run_that_was_cut_short_comes_again() -> None:
    app = AppTest.from_function(flashes).run()
    app.session_state["cut short"] = True
    app.button(key="do").click().run()
    app.run()
    assert [toast.value for toast in app.toast] == ["Done."]
    later(app)
    app.run()
    assert len(app.toast) == 0


def test_what_can_be_undone_stays_with_its_button() -> None:
    app = AppTest.from_function(flashes).run()
    app.button(key="do").click().run()
    app.run()
    undo = next(button for button in app.button if button.label == "Undo")
    later(app)
    undo.click().run()
    assert app.session_state["undone"] is True
    assert [toast.value for toast in app.toast] == ["Undone"]
    assert "Undo" not in [button.label for button in app.button]


def test_an_undo_that_fails_says_why() -> None:
    app = AppTest.from_function(flashes).run()
    app.button(key="do").click().run()
    app.session_state["refuse"] = True
    next(button for button in app.button if button.label == "Undo").click().run()
    assert "The room is gone" in app.error[0].value
