"""A session as a test: the caller's turns, said again to the graph by `agents.replay`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from services.clock import rfc3339
from services.errors import ConflictError
from services.events import Event, Kind
from services.exports.reading import events_of
from services.store.records import SessionRecord
from services.store.store import Store

_KINDS: Final = (
    Kind.RUN_STARTED,
    Kind.RUN_FINISHED,
    Kind.RUN_FAILED,
    Kind.NODE_STARTED,
    Kind.CHECKPOINT_SAVED,
    Kind.INTERRUPT_RAISED,
    Kind.INTERRUPT_RESUMED,
    Kind.COMMAND_SENT,
)
_SHORTENED: Final = re.compile(r"… \[cut: [\d,]+ characters\]$")  # the recorder's mark


@dataclass(slots=True)
class _Run:
    """One run of the graph, as the recorder told it."""

    run: str
    said: str | None = None  # by the caller; None: the run was not begun by them
    coaching: list[str] = field(default_factory=list)
    decision: Any = None
    asked: Any = None
    resumes: bool = False
    steps: dict[int, list[str]] = field(default_factory=dict)  # nodes by super-step
    saved: int = 0
    answers: list[str] = field(default_factory=list)
    state: str = "open"  # open, finished, cancelled, failed
    error: str = ""


async def as_pytest(store: Store, session: SessionRecord) -> str:
    """The file's text. Whatever people said stands in it as Python's own literals.

    Raises:
        ConflictError: no run of a graph was recorded, so there is nothing to check.
    """
    runs = await _runs(store, session)
    turns = [line for run in runs for line in _turn(run)]
    if not turns:
        raise ConflictError(
            "Nothing of this session can be replayed: no run of its graph was recorded.",
            hint="The agent needs a recorder, and must have been spoken to.",
        )
    return _FILE.format(
        session_id=session.id,
        when=rfc3339(session.created_at),
        agent=_literal(session.agent_name),
        user=_literal(session.user_id),
        turns="\n".join(turns),
    )


async def _runs(store: Store, session: SessionRecord) -> list[_Run]:
    reader = _Reader()
    async for event in events_of(store, session.id, *_KINDS):
        reader.take(event)
    return reader.runs


class _Reader:
    """Folds events into runs."""

    def __init__(self) -> None:
        self.runs: list[_Run] = []
        self._said: set[str] = set()  # ids of messages that earlier states had
        self._coaching: list[str] = []
        self._asked: dict[str, Any] = {}

    def take(self, event: Event) -> None:
        kind, data = event.kind, event.data
        if kind is Kind.RUN_STARTED:
            self.runs.append(_Run(run=str(data.get("run"))))
            return
        if kind is Kind.COMMAND_SENT:
            args = data.get("args")
            if data.get("action") == "whisper" and isinstance(args, dict):
                self._coaching.append(str(args.get("text") or ""))
            return
        if kind is Kind.INTERRUPT_RAISED:
            self._asked[str(data.get("interrupt_id"))] = data.get("value")
            return
        run = next((one for one in reversed(self.runs) if one.run == data.get("run")), None)
        if run is not None:
            self._of_run(run, kind, data)

    def _of_run(self, run: _Run, kind: Kind, data: dict[str, Any]) -> None:
        match kind:
            case Kind.NODE_STARTED if not data.get("ns"):
                run.steps.setdefault(int(data.get("step") or 0), []).append(str(data.get("node")))
            case Kind.CHECKPOINT_SAVED:
                run.saved += 1
                self._messages(run, data.get("values"))
            case Kind.INTERRUPT_RESUMED:
                run.resumes, run.decision = True, data.get("decision")
                run.asked = self._asked.pop(str(data.get("interrupt_id")), None)
            case Kind.RUN_FINISHED:
                run.state = "finished"
            case Kind.RUN_FAILED:
                run.state = "cancelled" if data.get("cancelled") else "failed"
                run.error = str(data.get("error") or "")
            case _:
                pass

    def _messages(self, run: _Run, values: object) -> None:
        messages = values.get("messages") if isinstance(values, dict) else None
        for message in messages if isinstance(messages, list) else []:
            if not isinstance(message, dict) or str(message.get("id")) in self._said:
                continue
            self._said.add(str(message.get("id")))
            text = _text(message.get("content"))
            if message.get("type") == "human":
                run.said = text
                run.coaching, self._coaching = self._coaching, []
            elif message.get("type") in {"ai", "AIMessageChunk"} and text:
                run.answers.append(text)


def _text(content: object) -> str:
    """A message's text: its content, or the text blocks of it."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "".join(
        block if isinstance(block, str) else str(block.get("text") or "")
        for block in blocks
        if isinstance(block, str | dict)
    )


def _turn(run: _Run) -> Iterator[str]:
    """The lines of one turn; none for a run of which nothing was told."""
    if not run.steps:
        return
    if run.resumes:
        yield f"    Decides({_literal(run.decision)},"
        if run.asked is not None:
            yield f"            asked={_literal(run.asked)},"
    elif run.said is not None:
        yield f"    Says({_literal(run.said)},"
        if run.coaching:
            yield f"            coaching={_literal(run.coaching)},"
    else:
        yield "    Begins("
    if run.state == "finished":
        path = " > ".join(" + ".join(sorted(run.steps[step])) for step in sorted(run.steps))
        yield f"            path={_literal(path)},"
        answer = " ".join(run.answers)
        if _SHORTENED.search(answer):
            yield "            # its answer was too long to be recorded whole"
        else:
            yield f"            answer={_literal(answer)},"
    elif run.state == "failed":
        yield f"            # it failed then: {json.dumps(run.error[:200])}"
    else:
        yield f"            cut_off_after={run.saved},  # super-steps; the caller spoke on"
    yield "    ),"


def _literal(value: object) -> str:
    """Python's own way to write it, on one line and in ASCII, whatever is in it."""
    return ascii(value)


_FILE: Final = '''\
"""Session {session_id} of {when}, said again to its graph.

Switchboard wrote this test; it is yours to change. Run it from the folder of langgraph.json:

    python -m pytest test_{session_id}.py

Each turn is checked for the nodes that it visits (`a > b + c`: first a, then b and c at once) and
for what the agent answers. Leave out what may change, or say `contains=["a few words"]`.
"""

import asyncio

from agents.replay import Begins, Decides, Says, replay

AGENT = {agent}
USER = {user}
TURNS = [
{turns}
]


def test_the_call_goes_as_it_went() -> None:
    asyncio.run(replay(AGENT, TURNS, user_id=USER))
'''
