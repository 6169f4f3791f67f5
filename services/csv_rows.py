"""Rows of CSV that a spreadsheet takes for what they are."""

from __future__ import annotations

import csv
import io
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for a formula's begin


def csv_row(*cells: str) -> str:
    """One line with its end. A cell that begins like a formula gets an apostrophe before it."""
    out = io.StringIO()
    csv.writer(out).writerow(f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells)
    return out.getvalue()
