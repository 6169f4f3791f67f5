"""Why is my agent not here? Walks from the server to the join and names the first thing wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.agents.stream import Streams
from services.errors import NotFoundError, SwitchboardError
from services.livekit.embedded import EmbeddedServer, Phase
from services.livekit.models import Dispatch, JobStatus, Participant
from services.livekit.service import LiveKitService
from services.processes.worker import WorkerPhase, WorkerProcess
from services.store.records import SessionRecord
from services.store.store import Store

_JOIN_S: Final = 5.0


class StepState(StrEnum):
    """How a step stands."""

    OK = "ok"
    UNKNOWN = "unknown"
    WRONG = "wrong"
    NOT_REACHED = "not_reached"  # a step before it is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the way. `text` is what was found; `mend` what to do, "" for nothing."""

    name: str
    state: StepState
    text: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What LiveKit says of the room, or why it says nothing."""

    session: SessionRecord
    error: SwitchboardError | None = None
    every: tuple[Dispatch, ...] = ()
    mine: tuple[Dispatch, ...] = ()
    agent: Participant | None = None


NAMES: Final = ("Server", "Worker", "Agent's name", "Load", "Dispatch", "Job", "Join", "Recorder")


class Why:
    """Asks each part once; nothing of it is repeated in the background."""

    def __init__(
        self,
        livekit: LiveKitService,
        store: Store,
        streams: Streams,
        embedded: EmbeddedServer | None,
    ) -> None:
        self._livekit = livekit
        self._store = store
        self._streams = streams
        self._embedded = embedded
        self.worker: WorkerProcess | None = None

    async def ask(self, room_name: str) -> tuple[Step, ...]:
        """Every step in order; after the first wrong one the others are not reached.

        Raises:
            NotFoundError: no session is known for a room of that name.
        """
        session = await self._store.session_of_room(room_name)
        if session is None:
            raise NotFoundError(f"No session is known for the room {room_name!r}.")
        room = await self._look(room_name, session)
        steps: list[Step] = []
        for look in (
            self._server_step,
            self._worker_step,
            self._name_step,
            self._load_step,
            _dispatch_step,
            _job_step,
            _join_step,
            self._recorder_step,
        ):
            steps.append(look(room))
            if steps[-1].state is StepState.WRONG:
                break
        left = NAMES[len(steps) :]
        rest = [Step(name=n, state=StepState.NOT_REACHED, text="Not looked at.") for n in left]
        return (*steps, *rest)

    async def _look(self, room_name: str, session: SessionRecord) -> _Room:
        try:
            dispatches = await self._livekit.list_dispatches(room_name)
            participants = await self._livekit.list_participants(room_name)
        except SwitchboardError as exc:
            return _Room(session=session, error=exc)
        wanted = session.agent_name
        return _Room(
            session=session,
            every=tuple(d for d in dispatches if d.agent_name),  # LiveKit adds a nameless one
            mine=tuple(d for d in dispatches if not wanted or d.agent_name == wanted),
            agent=next((p for p in participants if p.is_agent and not p.is_observer), None),
        )

    # -- the steps

    def _server_step(self, room: _Room) -> Step:
        if isinstance(room.error, NotFoundError):
            return _wrong("Server", "The room is not open any more.", "Start a new session.")
        if room.error is not None:
            return _wrong("Server", room.error.message, room.error.hint)
        return _ok("Server", "The LiveKit server answers and the room is open.")

    def _worker_step(self, _: _Room) -> Step:
        own = self.worker
        if self._embedded is None and own is None:
            text = "An outside LiveKit server tells nobody which workers have registered."
            return Step(name="Worker", state=StepState.UNKNOWN, text=text)
        if self._embedded is not None and self._embedded.workers:
            count = len(self._embedded.workers)
            return _ok("Worker", f"{count} {'is' if count == 1 else 'are'} registered.")
        if own is not None and own.state.phase is WorkerPhase.READY:
            return _ok("Worker", own.state.message)
        if self._embedded is not None and self._embedded.state.phase is not Phase.READY:
            state = self._embedded.state
            return _wrong("Worker", state.message, state.hint)
        if own is not None:
            mend = own.state.hint or "Look into the worker's log on the System page."
            return _wrong("Worker", own.state.message, mend)
        return _wrong(
            "Worker",
            "No worker has registered at the server.",
            "Run `switchboard worker`, with this server's LIVEKIT_ variables.",
        )

    def _name_step(self, room: _Room) -> Step:
        name, agent_name = NAMES[2], room.session.agent_name
        if not agent_name:
            mend = "Ask for an agent on the room's page."
            return _wrong(name, "The session was made without an agent.", mend)
        known = self._names()
        if known is None:
            return Step(name=name, state=StepState.UNKNOWN, text=f"{agent_name} was asked for.")
        if agent_name in known:
            return _ok(name, f"A worker takes jobs for {agent_name}.")
        others = ", ".join(sorted(known)) or "none"
        return _wrong(
            name,
            f"No worker takes jobs for {agent_name}; there are workers for: {others}.",
            "Name the agent in langgraph.json and restart the worker, or correct agent_name.",
        )

    def _names(self) -> set[str] | None:
        found: set[str] = set()
        if self._embedded is not None:
            found |= {worker.agent_name for worker in self._embedded.workers}
        if self.worker is not None and self.worker.state.told is not None:
            found |= {agent.name for agent in self.worker.state.told.agents if agent.worker_id}
        return found if self._embedded is not None or found else None

    def _load_step(self, _: _Room) -> Step:
        own = self.worker
        told = own.state.told if own is not None else None
        if own is None or told is None:
            text = "How loaded workers elsewhere are, they do not tell."
            return Step(name="Load", state=StepState.UNKNOWN, text=text)
        most = own.most_jobs
        if told.stopping:
            return _wrong("Load", "The worker is stopping and takes no jobs.", "Start it again.")
        if len(told.jobs) >= most:
            return _wrong(
                "Load",
                f"The worker has {len(told.jobs)} sessions, and takes {most} at most.",
                "End some, raise SWITCHBOARD_WORKER_JOBS, or start a worker on another machine.",
            )
        return _ok("Load", f"The worker has {len(told.jobs)} of at most {most} sessions.")

    def _recorder_step(self, room: _Room) -> Step:
        if self._streams.of_session(room.session.id) is not None:
            return _ok("Recorder", "The agent tells what it does.")
        text = "The agent is in the room; no recorder reports from it."
        return Step(
            name="Recorder",
            state=StepState.UNKNOWN,
            text=text,
            mend="Add the recorder's one line to it (docs/recorder.md), and set SWITCHBOARD_URL.",
        )


def _dispatch_step(room: _Room) -> Step:
    agent_name, every = room.session.agent_name, room.every
    if room.mine:
        return _ok("Dispatch", f"{agent_name} was asked for.")
    if every:
        names = ", ".join(sorted({d.agent_name for d in every}))
        text = f"The room asked for {names}, not for {agent_name}."
    else:
        text = "The room has no dispatch."
    return _wrong("Dispatch", text, "Ask for the agent again.")


def _job_step(room: _Room) -> Step:
    jobs = [job for dispatch in room.mine for job in dispatch.jobs]
    if room.agent is not None:
        return _ok("Job", "A worker took the job.")
    if not jobs:
        return _wrong(
            "Job",
            "No worker took the dispatch.",
            "Ask for the agent again; a draining worker takes none.",
        )
    failed = next((job for job in jobs if job.status is JobStatus.FAILED), None)
    if failed is not None:
        mend = "Look into the worker's log on the System page, then ask for the agent again."
        return _wrong("Job", f"The job failed: {failed.error or 'no reason was told'}.", mend)
    return _ok("Job", f"A worker took the job ({jobs[-1].status.value}).")


def _join_step(room: _Room) -> Step:
    agent = room.agent
    if agent is not None:
        return _ok("Join", f"The agent is in the room{_state(agent)}.")
    return _wrong(
        "Join",
        "The job runs, as LiveKit says, and its agent is not in the room: its process may be gone.",
        "Ask for the agent again. The worker's log on the System page says what it does.",
    )


def _state(agent: Participant) -> str:
    return f" and {agent.agent_state}" if agent.agent_state else ""


def _ok(name: str, text: str) -> Step:
    return Step(name=name, state=StepState.OK, text=text)


def _wrong(name: str, text: str, mend: str) -> Step:
    return Step(name=name, state=StepState.WRONG, text=text, mend=mend)
