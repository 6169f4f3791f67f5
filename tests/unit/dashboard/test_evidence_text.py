"""The list of sessions says how well each is known, and of what it is not."""

from __future__ import annotations

import pytest

from dashboard.sessions.session_table import evidence_text
from services.clock import utc_now
from services.events import Provenance
from services.ids import new_session_id
from services.store.records import SessionRecord
from services.store.session_search import SessionRow

SEEN, INFERRED, INCOMPLETE = Provenance.OBSERVED, Provenance.INFERRED, Provenance.INCOMPLETE


@pytest.mark.parametrize(
    ("evidence", "beginning", "end", "text"),
    [
        (SEEN, SEEN, SEEN, "observed"),
        (SEEN, SEEN, None, "observed"),
        (INFERRED, SEEN, INFERRED, "inferred: end"),
        (INCOMPLETE, INCOMPLETE, SEEN, "incomplete: beginning"),
        (INCOMPLETE, INCOMPLETE, INFERRED, "incomplete: beginning and end"),
    ],
)
def test_how_well_a_session_is_known(
    evidence: Provenance, beginning: Provenance, end: Provenance | None, text: str
) -> None:
    now = utc_now()
    session = SessionRecord(
        id=new_session_id(), room_name="r", room_sid="s", created_at=now, last_event_at=now,
        created_certainty=beginning, ended_certainty=end,
    )  # fmt: skip
    found = SessionRow(
        session=session, evidence=evidence, duration_s=None, turns=0, answer_median_ms=None,
        answer_worst_ms=None, interruptions=0, asks=0, errors=0, verdict="", version="",
        assignee="", tags=(),
    )  # fmt: skip
    assert evidence_text(found) == text
