"""The cells of the Sessions table: how well a session is known, and what its issues are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboard.sessions.session_table import issues_text, provenance_text
from services.events import Provenance
from tests.support.session_rows import session_row

SEEN, INFERRED, INCOMPLETE = Provenance.OBSERVED, Provenance.INFERRED, Provenance.INCOMPLETE


@pytest.mark.parametrize(
    ("whole", "beginning", "end", "text"),
    [
        (SEEN, SEEN, SEEN, "observed"),
        (SEEN, SEEN, None, "observed"),
        (INFERRED, SEEN, INFERRED, "inferred: end"),
        (INCOMPLETE, INCOMPLETE, SEEN, "incomplete: beginning"),
        (INCOMPLETE, INCOMPLETE, INFERRED, "incomplete: beginning and end"),
    ],
)
def test_how_well_a_session_is_known(
    whole: Provenance, beginning: Provenance, end: Provenance | None, text: str
) -> None:
    session = replace(
        session_row(), provenance=whole, created_provenance=beginning, ended_provenance=end
    )
    assert provenance_text(session) == text


def test_issues_are_told_together_and_only_those_that_there_are() -> None:
    session = session_row()
    assert issues_text(session) == ""
    assert issues_text(replace(session, errors=2, interrupts_pending=1)) == (
        "2 errors, 1 pending question"
    )
