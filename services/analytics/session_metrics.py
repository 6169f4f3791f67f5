"""One session in counts that can be added to those of others: pure, whatever the events' order.

A count's name has its parts divided by `|`, which LangGraph allows in no node's name. Times are
counted by their step on the scale (`services.analytics.histogram`), with their sum in microseconds:

    sessions, troubled          those with errors; turns, interruptions, errors
    outcome|<outcome>           verdict|<verdict>, score|<question>|<answer>
    cause|<cause>               why something failed
    duration|<step>, |us        of sessions that are over
    part|<part>|<step>, |us, |sessions
    node|<node>|<step>, |us, |sessions, |errors, |cancelled, |asked
    edge|<source>|<target>|<step>, |us, |sessions, |errors
    path|<node>-<node>…         runs of the graph that went that way
    waited|<node>|<step>, |us, |sessions     answered questions; unanswered|<node>
    busy|<hour>                 microseconds in which it went on, by the hour after the one it began in
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from services.analytics.graph_metrics import count_ways
from services.analytics.tally import Tally, ms_between, part
from services.events import Event
from services.store.agent_records import Turn
from services.store.records import SessionRecord, SessionStatus

_HOURS: Final = 48  # of one session
_HOUR: Final = timedelta(hours=1)


class Outcome(StrEnum):
    """How a session went for the one who called; each has exactly one."""

    ANSWERED = "answered"  # the agent answered what was said at least once
    ABANDONED = "abandoned"  # somebody came and left without an answer
    NOBODY = "nobody came"
    FAILED = "failed"  # LiveKit lost its room
    UNTOLD = "not told"  # no recorder and no observer said what happened in it
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """`marks`: what the session can be found by, each with the longest time (ms) that it took."""

    created_at: datetime  # the session's
    agent_name: str
    version: str
    is_open: bool
    counts: Mapping[str, int]
    marks: Mapping[str, float]

    @property
    def hour(self) -> datetime:
        """In which the session began, UTC."""
        return self.created_at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is known of a session beside its events and turns."""

    version: str = ""
    verdict: str = ""
    errors: int = 0
    told: bool = True  # an agent's recorder was there
    scores: Sequence[Mapping[str, Any]] = ()  # of each reviewer


def count(
    session: SessionRecord, events: Iterable[Event], turns: Sequence[Turn], judged: Judged
) -> Counted:
    """The counts of a session. One that goes on is counted as that alone."""
    tally = Tally()
    _session(tally, session, turns, judged)
    if not session.status.is_open:
        _turns(tally, turns)
        _judged(tally, judged)
        count_ways(tally, sorted(events, key=lambda event: event.at))
    return Counted(
        created_at=session.created_at,
        agent_name=session.agent_name,
        version=judged.version,
        is_open=session.status.is_open,
        counts={name: number for name, number in tally.counts.items() if number},
        marks=tally.marks,
    )


def _session(tally: Tally, session: SessionRecord, turns: Sequence[Turn], judged: Judged) -> None:
    tally.counts["sessions"] += 1
    tally.mark(f"outcome|{_outcome(session, turns, told=judged.told)}")
    tally.counts["errors"] += judged.errors
    tally.counts["troubled"] += judged.errors > 0
    began = session.started_at or session.created_at
    ended = session.ended_at or session.last_event_at
    _busy(tally, session.created_at, began, ended)
    if session.ended_at is not None and session.started_at is not None:
        tally.time("duration", ms_between(began, ended))
    if session.status is SessionStatus.FAILED:
        tally.mark("cause|room lost")


def _turns(tally: Tally, turns: Sequence[Turn]) -> None:
    for turn in turns:
        tally.counts["turns"] += bool(turn.user_text)
        tally.counts["interruptions"] += turn.interrupted
        detection = turn.end_of_turn_ms
        if detection is not None and turn.transcription_ms is not None:
            detection = max(0.0, detection - turn.transcription_ms)  # both begin with the silence
        for name, ms in (
            ("transcription", turn.transcription_ms), ("turn detection", detection),
            ("graph", turn.graph_ms), ("synthesis", turn.speech_ms), ("answer", turn.answer_ms),
        ):  # fmt: skip
            if ms is not None:
                tally.time(f"part|{name}", ms)


def _judged(tally: Tally, judged: Judged) -> None:
    if judged.verdict:
        tally.counts[f"verdict|{part(judged.verdict)}"] += 1
    for scores in judged.scores:
        for question, answer in scores.items():
            tally.mark(f"score|{part(question)}|{part(answer)}")


def _busy(tally: Tally, created: datetime, began: datetime, ended: datetime) -> None:
    first = created.replace(minute=0, second=0, microsecond=0)
    for hour in range(_HOURS):
        opens = first + hour * _HOUR
        if opens >= ended:
            return
        inside = min(ended, opens + _HOUR) - max(began, opens)
        if inside > timedelta():
            tally.counts[f"busy|{hour}"] += int(inside / timedelta(microseconds=1))


def _outcome(session: SessionRecord, turns: Sequence[Turn], *, told: bool) -> Outcome:
    if session.status.is_open:
        return Outcome.OPEN
    if session.status is SessionStatus.FAILED:
        return Outcome.FAILED
    if any(turn.user_text and turn.agent_text for turn in turns):
        return Outcome.ANSWERED
    if session.started_at is None:
        return Outcome.NOBODY
    return Outcome.ABANDONED if told or turns else Outcome.UNTOLD
