"""The arguments of what a graph asks, as a form: each in the field that fits it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from dashboard.ui import format as fmt
from services.errors import InvalidInputError

_FIELDS: Final = 30
_ROWS: Final = 50
_COLUMNS: Final = 12
_LONG: Final = 80
_SAFE_INT: Final = 2**53 - 1  # what a browser can hold


def arguments(args: Any, *, key: str, disabled: bool) -> Any:
    """Draw the fields and give the arguments as they stand in them; the same while unchanged.

    An object gets a field for each of its members: text, number, yes or no, a table for a list of
    flat objects; what fits none of them, and all that is no object, is a field of JSON.

    Raises:
        InvalidInputError: what stands in a field of JSON is none.
    """
    if not isinstance(args, Mapping) or len(args) > _FIELDS:
        return _json("Arguments", args, key=f"{key}.json", disabled=disabled)
    return {
        name: _field(str(name), value, key=f"{key}.{number}", disabled=disabled)
        for number, (name, value) in enumerate(args.items())
    }


def _field(name: str, value: Any, *, key: str, disabled: bool) -> Any:
    label = fmt.md(name) or "(no name)"
    if isinstance(value, bool):
        return st.checkbox(label, value, key=key, disabled=disabled)
    if isinstance(value, int) and abs(value) <= _SAFE_INT:
        return st.number_input(label, value=value, step=1, key=key, disabled=disabled)
    if isinstance(value, float) and math.isfinite(value) and abs(value) <= _SAFE_INT:
        return st.number_input(label, value=value, format="%g", key=key, disabled=disabled)
    if isinstance(value, str):
        if "\n" in value or len(value) > _LONG:
            return st.text_area(label, value, key=key, disabled=disabled, height="content")
        return st.text_input(label, value, key=key, disabled=disabled)
    if isinstance(value, list) and (columns := _columns(value)):
        st.markdown(f":small[{label}]")
        changed = st.data_editor(
            value,
            key=key,
            disabled=disabled,
            num_rows="fixed" if disabled else "dynamic",
            hide_index=True,
            width="stretch",
        )
        return [_row(row, columns) for row in changed]
    return _json(name, value, key=key, disabled=disabled)


def _json(name: str, value: Any, *, key: str, disabled: bool) -> Any:
    text = st.text_area(
        f"{fmt.md(name)} (JSON)",
        json.dumps(value, indent=2, ensure_ascii=False),
        key=key,
        disabled=disabled,
        height="content",
    )
    try:
        return json.loads(text)
    except ValueError as exc:
        raise InvalidInputError(
            f"“{name}” is not valid JSON: {exc}.", hint="Correct it. Nothing was sent."
        ) from exc


def _columns(rows: Sequence[Any]) -> dict[str, type]:
    """The kind of each column of a list of flat objects that all have the same names; else {}."""
    if not rows or len(rows) > _ROWS or not all(isinstance(row, Mapping) for row in rows):
        return {}
    kinds = {name: type(value) for name, value in rows[0].items() if isinstance(name, str)}
    same = all(
        list(row) == list(kinds) and [type(value) for value in row.values()] == [*kinds.values()]
        for row in rows
    )
    flat = all(kind in {str, int, float, bool} for kind in kinds.values())
    return kinds if same and flat and len(kinds) <= _COLUMNS else {}


def _row(row: Mapping[str, Any], columns: Mapping[str, type]) -> dict[str, Any]:
    """A row of the editor, its values of the kinds that the list had; an added one may lack some."""
    return {name: _value(row.get(name), kind) for name, kind in columns.items()}


def _value(value: Any, kind: type) -> Any:
    empty = value is None or (isinstance(value, float) and math.isnan(value))
    return kind() if empty else kind(value)
