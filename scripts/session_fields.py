"""`python -m scripts.session_fields`: write docs/session-fields.md from the catalogue of fields."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.store.session_fields import (
    DEFAULT_SORT,
    FIELDS,
    NONE,
    PARAMETERS,
    Column,
    SessionField,
)

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "session-fields.md"
_TYPES: Final = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "datetime": "time",
    "tuple": "list",
}
_HEAD: Final = f"""# Session fields

<!-- Written by `python -m scripts.session_fields`; change services/store/session_fields.py. -->

What a listed session has. `GET /api/voice/sessions`, the [exports](exports.md), the Sessions page and
its address use the same names. Times are UTC, units are in the names; a value that is not known is null.

To filter, give one or more parameters; each must hold. Bounds of `min_…` and `max_…` are included. As a
text, `{NONE}` finds the sessions that have none. To sort, give `sort=FIELD`, or `sort=-FIELD` for the
greatest or newest first; the default is `sort={DEFAULT_SORT}`. Sorted by a number, sessions that have none
are not listed; sorted by *Errors* or *Pending interrupts*, only those with any are.
"""


def page() -> str:
    """The page as the catalogue gives it."""
    rows = [
        "| field | label | type | filter | sort | export | what it is |",
        "|---|---|---|---|---|---|---|",
        *map(_row, FIELDS.values()),
    ]
    search = [one for one in PARAMETERS.values() if one.field is None]
    others = ["| parameter | finds |", "|---|---|"]
    others += [f"| `{one.name}` | {_cell(one.description)} |" for one in search]
    return "\n".join([_HEAD, *rows, "", "Parameters that belong to no field:", "", *others, ""])


def _row(one: SessionField) -> str:
    filters = [f"`{of.name}`" for of in PARAMETERS.values() if of.field is one]
    label = one.label if one.column is not Column.NO else ""
    values = ", ".join(f"`{value}`" for value in one.values)
    what = f"{one.description} Values: {values}." if values else one.description
    cells = (
        f"`{one.name}`",
        label,
        _TYPES[one.plain_type.__name__] + (f", {one.unit}" if one.unit else ""),
        ", ".join(filters),
        "yes" if one.sort else "",
        "yes" if one.exported else "",
        _cell(what),
    )
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
