"""The arguments of a question as a form: what is not touched stays as it was, to the letter."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.ui import format as fmt

HOSTILE = "<b>**x**</b> :material/home: $a$"
ARGS: dict[str, Any] = {
    "title": "Fix the **build**",
    HOSTILE: "value",
    "text": "one\ntwo",
    "count": 3,
    "share": 0.1,
    "urgent": True,
    "tickets": [{"title": "a", "days": 1, "done": False}, {"title": "", "days": -2, "done": True}],
    "odd": [{"title": "a"}, {"name": "b"}],
    "names": ["x", "y"],
    "nothing": None,
    "huge": 2**60,
    "deep": {"a": {"b": [1, 2.5, None]}},
}


def form(args: object, disabled: bool = False) -> None:
    import streamlit as st

    from dashboard.agents.json_form import arguments
    from services.errors import InvalidInputError

    try:
        st.session_state["found"] = arguments(args, key="form", disabled=disabled)
    except InvalidInputError as error:
        st.session_state["found"] = error.message


def drawn(args: Any, *, disabled: bool = False) -> AppTest:
    app = AppTest.from_function(form, args=(args, disabled)).run()
    assert not app.exception
    return app


@pytest.mark.parametrize(
    "args",
    [ARGS, {}, {"": ""}, "a plain question", 7, None, [1, "two"], {str(n): n for n in range(31)}],
)
def test_what_nobody_touches_stays_as_it_was(args: Any) -> None:
    found = drawn(args).session_state["found"]
    assert found == args
    assert repr(found) == repr(args)  # 3 is not 3.0, True is not 1


def test_each_kind_has_a_field_of_its_own_and_takes_what_is_typed() -> None:
    app = drawn(ARGS)
    assert [field.label for field in app.text_input] == ["title", fmt.md(HOSTILE)]
    app.text_input[0].set_value("Fix the tests")
    app.text_area[0].set_value("three")
    app.number_input[0].set_value(4)
    app.checkbox[0].uncheck()
    found = app.run().session_state["found"]
    changes = {"title": "Fix the tests", "text": "three", "count": 4, "urgent": False}
    assert found == ARGS | changes


def test_json_that_is_none_is_named_and_not_taken() -> None:
    app = drawn({"deep": {"a": [1]}})
    app.text_area[0].set_value("{oops")
    assert app.run().session_state["found"].startswith("“deep” is not valid JSON")
    app.text_area[0].set_value('{"a": [2]}')
    assert app.run().session_state["found"] == {"deep": {"a": [2]}}


def test_what_may_not_be_edited_is_shown_and_locked() -> None:
    app = drawn(ARGS, disabled=True)
    fields = [*app.text_input, *app.text_area, *app.number_input, *app.checkbox]
    assert fields
    assert all(field.disabled for field in fields)
    assert app.session_state["found"] == ARGS
