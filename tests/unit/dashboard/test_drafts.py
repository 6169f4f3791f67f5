"""A field that is emptied stays empty, whatever runs the page again meanwhile."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import streamlit as st

    from dashboard.ui import drafts

    if st.session_state.pop("sent just now", False):
        st.rerun()  # as a live tick does, before the field is drawn
    st.text_area("Message", key=drafts.draft_key("form"))
    if st.button("Send"):
        drafts.sent("form")
        st.session_state["sent just now"] = True
        st.rerun()


def test_what_was_sent_is_gone_from_its_field_even_when_the_page_is_run_again() -> None:
    page = AppTest.from_function(_page).run()
    page.text_area[0].set_value("Grüße")
    page.button[0].click().run()
    assert page.text_area[0].value == ""
    page.run()
    assert page.text_area[0].value == ""


def test_what_was_not_sent_stays_in_its_field() -> None:
    page = AppTest.from_function(_page).run()
    page.text_area[0].set_value("Grüße").run()
    assert page.text_area[0].value == "Grüße"
