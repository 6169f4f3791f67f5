"""Parts of pages, run by Streamlit's own test driver: no browser, no server."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from dashboard.ui import fragments
    from services.errors import StoreUnavailableError

    def draw() -> None:
        st.markdown("before")
        match st.session_state.get("fault"):
            case "known":
                raise StoreUnavailableError("The database does not answer.")
            case "unknown":
                raise ValueError("a secret that no page may show")
        st.markdown("after")

    fragments.run(draw, key="part")
    st.markdown("the rest of the page")


def texts(app: AppTest) -> list[str]:
    return [text.value for text in app.markdown]


def test_a_part_that_can_be_drawn_is_drawn() -> None:
    app = AppTest.from_function(page).run()
    assert texts(app) == ["before", "after", "the rest of the page"]


def test_an_error_is_drawn_in_its_place_and_the_page_goes_on() -> None:
    app = AppTest.from_function(page)
    app.session_state["fault"] = "known"
    app.run()
    assert texts(app) == ["before", "the rest of the page"]
    assert "The database does not answer" in app.warning[0].value
    app.session_state["fault"] = ""
    app.button(key="part.error.retry").click().run()
    assert texts(app) == ["before", "after", "the rest of the page"]
    assert len(app.warning) == 0


def test_what_nobody_expected_goes_to_the_log_and_not_to_the_page() -> None:
    app = AppTest.from_function(page)
    app.session_state["fault"] = "unknown"
    app.run()
    assert not app.exception
    assert "failed to load" in app.error[0].value
    assert "secret" not in app.error[0].value
    assert texts(app)[-1] == "the rest of the page"
