"""Why is my agent not here? Checks each step from the server to the join; the first problem ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from services.agents.stream import Streams
from services.errors import NotFoundError, SwitchboardError
from services.health.checks import parts
from services.health.findings import Area, Check, Finding, Status
from services.livekit.embedded import EmbeddedServer
from services.livekit.models import Dispatch, JobStatus, Participant
from services.livekit.service import LiveKitService
from services.processes.worker import WorkerProcess, WorkerTold
from services.store.records import SessionRecord
from services.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    """What LiveKit says of the room, or why it says nothing."""

    session: SessionRecord
    error: SwitchboardError | None = None
    every: tuple[Dispatch, ...] = ()
    mine: tuple[Dispatch, ...] = ()
    agent: Participant | None = None


def _check(code: str, name: str) -> Check:
    return Check(
        code=code,
        area=Area.AGENTS,
        name=name,
        impact="Until this is right, the agent does not join the room.",
    )


_SERVER: Final = _check("server", "Server")
_WORKER: Final = _check("worker", "Worker")
_NAME: Final = _check("agent_name", "Agent name")
_LOAD: Final = _check("load", "Load")
_DISPATCH: Final = _check("dispatch", "Dispatch")
_JOB: Final = _check("job", "Job")
_JOIN: Final = _check("join", "Join")
_RECORDER: Final = _check("recorder", "Recorder")
STEPS: Final = (_SERVER, _WORKER, _NAME, _LOAD, _DISPATCH, _JOB, _JOIN, _RECORDER)


class Diagnosis:
    """Asks each part once; nothing of it is repeated in the background."""

    def __init__(
        self,
        livekit: LiveKitService,
        store: Store,
        streams: Streams,
        embedded: EmbeddedServer | None,
        worker: Callable[[], WorkerProcess | None],
    ) -> None:
        self._livekit = livekit
        self._store = store
        self._streams = streams
        self._embedded = embedded
        self._worker = worker

    async def of_room(self, room_name: str) -> tuple[Finding, ...]:
        """The steps in order, to the first one that is not done; the later ones of `STEPS` are left out.

        Raises:
            NotFoundError: no session is known for a room of that name.
        """
        session = await self._store.session_of_room(room_name)
        if session is None:
            raise NotFoundError(f"No session is known for the room {room_name!r}.")
        room = await self._look(room_name, session)
        findings: list[Finding] = []
        for step in (
            self._server_step,
            self._worker_step,
            self._name_step,
            self._load_step,
            _dispatch_step,
            _job_step,
            _join_step,
            self._recorder_step,
        ):
            findings.append(step(room))
            if findings[-1].bad or findings[-1].status is Status.STARTING:
                break
        return tuple(findings)

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

    def _server_step(self, room: _Room) -> Finding:
        if isinstance(room.error, NotFoundError):
            return _SERVER.problem("The room is not open any more.", "Start a new session.")
        if room.error is not None:
            return _SERVER.problem(room.error.message, room.error.hint)
        return _SERVER.ok("The LiveKit server answers and the room is open.")

    def _worker_step(self, _: _Room) -> Finding:
        own = self._worker()
        found = parts.workers(
            (),
            self._embedded.workers if self._embedded is not None else None,
            own.state if own is not None else None,
        )
        return replace(found, code=_WORKER.code, name=_WORKER.name, impact=_WORKER.impact)

    def _name_step(self, room: _Room) -> Finding:
        agent_name = room.session.agent_name
        if not agent_name:
            return _NAME.problem(
                "The session was created without an agent.", "Dispatch one on the room's page."
            )
        known = self._names()
        if known is None:
            return _NAME.unknown(f"{agent_name} was requested.")
        if agent_name in known:
            return _NAME.ok(f"A worker takes jobs for {agent_name}.")
        others = ", ".join(sorted(known)) or "none"
        return _NAME.problem(
            f"No worker takes jobs for {agent_name}; there are workers for: {others}.",
            "Name the agent in langgraph.json and restart the worker, or correct agent_name.",
        )

    def _names(self) -> set[str] | None:
        found: set[str] = set()
        if self._embedded is not None:
            found |= {worker.agent_name for worker in self._embedded.workers}
        if (told := self._told()) is not None:
            found |= {agent.name for agent in told.agents if agent.worker_id}
        return found if self._embedded is not None or found else None

    def _told(self) -> WorkerTold | None:
        own = self._worker()
        return own.state.told if own is not None else None

    def _load_step(self, _: _Room) -> Finding:
        own, told = self._worker(), self._told()
        if own is None or told is None:
            return _LOAD.unknown("Workers elsewhere do not report their load to Switchboard.")
        most = own.most_jobs
        if told.stopping:
            return _LOAD.problem(
                "The worker is stopping and takes no jobs.", "Start it again on the System page."
            )
        if len(told.jobs) >= most:
            return _LOAD.problem(
                f"The worker has {len(told.jobs)} of at most {most} sessions.",
                "End some, raise SWITCHBOARD_WORKER_MAX_JOBS, or start a worker on another machine.",
            )
        return _LOAD.ok(f"The worker has {len(told.jobs)} of at most {most} sessions.")

    def _recorder_step(self, room: _Room) -> Finding:
        if self._streams.of_session(room.session.id) is not None:
            return _RECORDER.ok("The agent sends its events.")
        return _RECORDER.unknown(
            "The agent is in the room, and no recorder sends its events.",
            "Add the recorder's one line to it (docs/recorder.md), and set SWITCHBOARD_URL.",
        )


def _dispatch_step(room: _Room) -> Finding:
    agent_name, every = room.session.agent_name, room.every
    if room.mine:
        return _DISPATCH.ok(f"{agent_name} was requested.")
    if every:
        names = ", ".join(sorted({d.agent_name for d in every}))
        text = f"The room has a dispatch for {names}, none for {agent_name}."
    else:
        text = "The room has no dispatch."
    return _DISPATCH.problem(text, "Dispatch the agent again.")


def _job_step(room: _Room) -> Finding:
    jobs = [job for dispatch in room.mine for job in dispatch.jobs]
    if room.agent is not None:
        return _JOB.ok("A worker took the job.")
    if not jobs:
        return _JOB.problem(
            "No worker took the dispatch.",
            "Dispatch the agent again. A draining worker takes no jobs.",
        )
    failed = next((job for job in jobs if job.status is JobStatus.FAILED), None)
    if failed is not None:
        fix = "See the worker's log on the System page, then dispatch the agent again."
        return _JOB.problem(f"The job failed: {failed.error or 'no reason given'}.", fix)
    return _JOB.ok(f"A worker took the job ({jobs[-1].status.value}).")


def _join_step(room: _Room) -> Finding:
    agent = room.agent
    if agent is not None:
        return _JOIN.ok(f"The agent is in the room{_state(agent)}.")
    return _JOIN.problem(
        "LiveKit says that the job runs, and its agent is not in the room: its process may be gone.",
        "Dispatch the agent again. The worker's log on the System page says more.",
    )


def _state(agent: Participant) -> str:
    return f" and {agent.agent_state}" if agent.agent_state else ""
