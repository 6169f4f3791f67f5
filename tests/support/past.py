"""A believable past: weeks of sessions as agents, callers and reviewers would have told of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from services.events import Event, Kind, Source
from services.ids import new_session_id, room_name_for
from services.store.store import Store

EDGES: Final = (
    ("__start__", "hear"), ("hear", "greet"), ("hear", "ask"), ("hear", "risks"),
    ("hear", "questions"), ("risks", "propose"), ("questions", "propose"), ("propose", "approve"),
    ("approve", "create"), ("create", "tools"), ("tools", "summarise"), ("summarise", "part"),
    ("greet", "__end__"), ("ask", "__end__"), ("part", "__end__"),
)  # fmt: skip
"""Of pm-agent, without those that this past never takes."""
_MS: Final = {"tools": 40.0, "create": 12.0, "propose": 9.0}
_SLOWER: Final = "2.1"  # the version whose answers take longer
_ASKED: Final = ("I finished the login page.", "The audit log.", "The database access.", "Nothing.")


@dataclass
class _Call:
    """One session, told event by event."""

    id: str
    room: str
    agent: str
    version: str
    at: datetime
    dice: random.Random
    events: list[Event] = field(default_factory=list)
    runs: int = 0
    tasks: int = 0

    def tell(
        self, kind: Kind, ms: float = 0, /, source: Source = Source.AGENT, **data: Any
    ) -> None:
        self.at += timedelta(milliseconds=ms)
        self.events.append(
            Event(
                kind=kind,
                at=self.at,
                received_at=self.at,
                source=source,
                session_id=self.id,
                room_name=self.room,
                room_sid=f"RM_{self.id[-12:]}",
                identity=data.pop("identity", ""),
                actor=data.pop("actor", ""),
                data=data,
            )
        )

    def run(self, *steps: str, cause: str = "message", asks: str = "", fails: str = "") -> None:
        """The nodes one after the other."""
        self.runs += 1
        run = f"{self.id}-{self.runs}"
        self.tell(Kind.RUN_STARTED, 1, run=run, cause=cause)
        for step, node in enumerate(steps, 1):
            self.tasks += 1
            told: dict[str, Any] = {
                "run": run,
                "task": str(self.tasks),
                "node": node,
                "step": step,
                "ns": "",
            }
            self.tell(Kind.NODE_STARTED, self.dice.lognormvariate(0, 0.5), **told)
            ms = _MS.get(node, 3.0) * self.dice.lognormvariate(0, 0.6)
            failed = node == fails
            self.tell(
                Kind.NODE_FINISHED, ms, **told, ms=round(ms, 2), interrupted=node == asks,
                error="TimeoutError: no answer" if failed else None,
            )  # fmt: skip
            if failed:
                self.tell(Kind.RUN_FAILED, 1, run=run, error="TimeoutError: no answer")
                return
        self.tell(Kind.RUN_FINISHED, 1, run=run, next=[], interrupts=[asks] if asks else [])

    def turn(self, said: str, answer: str, *, slower: float, interrupted: bool) -> None:
        """What both said; the times are measured as LiveKit does."""
        dice = self.dice
        heard = dice.lognormvariate(4.9, 0.3)
        over = heard + dice.lognormvariate(5.2, 0.3)
        graph, speech = dice.lognormvariate(2.7, 0.6), dice.lognormvariate(5.0, 0.4) * slower
        metrics: dict[str, Any] = {
            "transcription_delay": round(heard, 1),
            "end_of_turn_delay": round(over, 1),
        }
        who: dict[str, Any] = {"agent_name": self.agent}
        self.tell(Kind.MESSAGE, over, role="user", text=said, metrics=metrics, **who)
        whole = over + graph + speech
        metrics = {
            "llm_node_ttft": round(graph, 1),
            "tts_node_ttfb": round(speech, 1),
            "e2e_latency": round(whole, 1),
        }
        self.tell(
            Kind.MESSAGE, graph + speech, role="assistant", text=answer, metrics=metrics,
            interrupted=interrupted, **who,
        )  # fmt: skip
        self.at += timedelta(seconds=dice.uniform(3, 12))


def calls(*, sessions: int, until: datetime, days: int = 14, seed: int = 11) -> list[list[Event]]:
    """Each session's events; they began in the days before `until`, more by day than by night.

    When they began depends on `until`; what happened in them does not.
    """
    dice, times = random.Random(seed), random.Random(seed)
    versions = ("2.0", _SLOWER)
    found = []
    for _ in range(sessions):
        back = timedelta(days=times.uniform(0.1, days))
        at = until - back
        while times.random() > (1.0 if 8 <= at.hour <= 18 else 0.12):
            back = timedelta(days=times.uniform(0.1, days))
            at = until - back
        version = versions[back < timedelta(days=days / 2)]
        found.append(_call(at, version, dice))
    return found


def _call(at: datetime, version: str, dice: random.Random) -> list[Event]:
    session_id = new_session_id()
    agent = dice.choices(("pm-agent", "echo"), (85, 15))[0]
    user = f"user-{dice.randrange(60)}"
    call = _Call(
        id=session_id, room=room_name_for(session_id, agent), agent=agent, version=version,
        at=at, dice=dice,
    )  # fmt: skip
    call.tell(
        Kind.SESSION_CREATED, source=Source.API, agent_name=agent, user_id=user, identity=user,
        origin="api",
    )  # fmt: skip
    came = dice.random() > 0.04
    if came:
        sid = f"PA_{session_id[-12:]}"
        call.tell(
            Kind.PARTICIPANT_JOINED, 400, source=Source.WEBHOOK, identity=user, participant_sid=sid
        )
        call.tell(
            Kind.JOB_CONNECTED, 300, source=Source.SYSTEM, stream_id=session_id, agent_name=agent
        )
        call.tell(Kind.JOB_STARTED, 5, versions={"agent": version})
        if agent == "pm-agent":
            _stand_up(call)
        else:
            for _ in range(dice.randrange(1, 4)):
                call.turn("Hello.", "Hello.", slower=1.0, interrupted=False)
    call.tell(
        Kind.ROOM_FINISHED, dice.uniform(500, 3_000), source=Source.WEBHOOK,
        lost=dice.random() < 0.01,
    )  # fmt: skip
    if came and dice.random() < 0.2:
        good = dice.random() < (0.9 if version != _SLOWER else 0.75)
        call.tell(
            Kind.REVIEWED, 60_000, source=Source.OPERATOR, actor=dice.choice(("ana", "ben")),
            verdict="pass" if good else "fail", remark="",
            scores={"Polite?": "yes", "Solved?": "yes" if good else "no"},
        )  # fmt: skip
    return call.events


def _stand_up(call: _Call) -> None:
    dice = call.dice
    edges = [{"source": source, "target": target} for source, target in EDGES]
    call.tell(Kind.GRAPH_DESCRIBED, 5, graph="pm-agent", nodes=[], edges=edges)
    call.run("hear", "greet")
    if dice.random() < 0.08:
        return  # the caller leaves without a word
    slower = 2.0 if call.version == _SLOWER else 1.0
    for said in _ASKED[: dice.randrange(1, 5)]:
        call.run("hear", "ask")
        call.turn(said, "What is next?", slower=slower, interrupted=dice.random() < 0.1)
    if dice.random() < 0.45:
        return
    call.run("hear", dice.choice(("risks", "questions")), "propose", "approve", asks="approve")
    call.tell(Kind.INTERRUPT_RAISED, 1, interrupt_id="ask", node="approve", value={})
    if dice.random() < 0.12:
        return  # nobody answers
    call.at += timedelta(seconds=dice.lognormvariate(3.2, 0.8))
    call.tell(Kind.INTERRUPT_RESUMED, 1, interrupt_id="ask", decision={"type": "accept"})
    fails = "tools" if dice.random() < 0.12 else ""
    call.run("approve", "create", "tools", "summarise", "part", cause="resume", fails=fails)
    call.turn("Thank you.", "The tickets are there.", slower=slower, interrupted=False)


async def write_past(store: Store, told: Sequence[Sequence[Event]]) -> None:
    """Write it as if it had come in."""
    for events in told:
        await store.log.append(*events)
