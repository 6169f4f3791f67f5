"""The recorder: one line in an agent makes it visible in Switchboard."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from switchboard_recorder.call_events import CallEvents, report_of
from switchboard_recorder.commands import Commands, Handler, current_command
from switchboard_recorder.events import EventKind
from switchboard_recorder.graphs import described, graph_of
from switchboard_recorder.guard import Guard
from switchboard_recorder.identity import hello_of, new_stream_id, versions
from switchboard_recorder.journal import Journal
from switchboard_recorder.link import Address, Patience
from switchboard_recorder.orphans import deliver_orphans
from switchboard_recorder.protocol import (
    USUAL_ACTIONS,
    Action,
    Command,
    Hello,
    Welcome,
)  # fmt: skip
from switchboard_recorder.runs import Made, Run, Runs
from switchboard_recorder.sender import Sender
from switchboard_recorder.spool import Owner, Spool, default_folder
from switchboard_recorder.values import Plain, Redact

if TYPE_CHECKING:
    from switchboard_recorder.callbacks import Callbacks

log = logging.getLogger(__name__)

DEFAULT_URL: Final = "http://localhost:8501"
STREAM_MODES: Final = ("tasks", "checkpoints", "messages", "custom")


class Recorder:
    """Records one job. Make it with `record()`; every method is safe to call at any time.

    Nothing here raises into the call, and nothing waits for a disk or the network, except
    `aclose`, which is bounded, and `run`, which passes on what the graph itself raises.
    """

    def __init__(
        self,
        hello: Hello,
        *,
        url: str = "",
        api_key: str = "",
        api_secret: str = "",
        spool_dir: Path | str | None = None,
        redact: Redact | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.hello = hello
        self.guard = Guard()
        self._patience = patience or Patience()
        self._plain = Plain(redact)
        self._address = Address(
            url=url or os.environ.get("SWITCHBOARD_URL") or DEFAULT_URL,
            api_key=api_key or os.environ.get("LIVEKIT_API_KEY", ""),
            api_secret=api_secret or os.environ.get("LIVEKIT_API_SECRET", ""),
        )
        self._spool_dir = Path(spool_dir) if spool_dir is not None else default_folder()
        self.commands = Commands(self.emit)
        self.runs = Runs(self.emit, self._plain)
        self._journal: Journal | None = None
        self._sender: Sender | None = None
        self._callbacks: Callbacks | None = None
        self._described: set[int] = set()
        self._orphans: asyncio.Task[object] | None = None
        self._closing = False
        self.session_id = hello.session_id

    @property
    def connected(self) -> bool:
        """Whether the dashboard listens now."""
        return self._journal is not None and self._journal.connected

    @property
    def callbacks(self) -> Callbacks | None:
        """The handler, for a configuration of your own: `{"callbacks": [recorder.callbacks]}`.

        Not needed: it adds itself. None without LangChain, and before `start`.
        """
        return self._callbacks

    def start(self) -> None:
        """Begin on the running loop: the folder, the thread, the sender, the callbacks."""
        journal = Journal(
            None, self._plain, opens=lambda: Spool.create(self._spool_dir, self._owner())
        )
        sender = Sender(
            self._address,
            self._hello_now,
            journal,
            patience=self._patience,
            on_welcome=self._welcomed,
            on_command=self._commanded,
        )
        journal.start(sender.told)
        self._journal, self._sender = journal, sender
        if self._address.api_key and self._address.api_secret:
            sender.start()
        else:
            log.warning(
                "LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set: the recorder cannot prove "
                "who it is to the dashboard, and keeps its events on disk."
            )
        self.guard(self._install_callbacks)

    # -- telling

    def emit(self, kind: EventKind | str, /, **data: Any) -> None:
        """One numbered event: kept, sent, delivered exactly once. Values are copied now."""
        self.guard(self._put, kind, data, False)

    def live(self, kind: EventKind | str, /, **data: Any) -> None:
        """Shown to whoever looks now; neither numbered nor kept."""
        self.guard(self._put, kind, data, True)

    def describe(self, graph: Any) -> None:
        """`graph_described`, once for each graph; drawn on the recorder's own thread."""
        self.guard(self._describe, graph)

    def _put(self, kind: str, data: dict[str, Any], live: bool) -> None:
        journal = self._journal
        if journal is None or (live and not journal.connected):
            return
        made = {key: value.value for key, value in data.items() if isinstance(value, Made)}
        plain, cost = self._plain.measured({k: v for k, v in data.items() if k not in made})
        if made:
            plain = {key: made[key] if key in made else plain[key] for key in data}
        journal.put(str(kind), plain, cost=cost, live=live)

    def _describe(self, graph: Any) -> None:
        if self._journal is None or id(graph) in self._described:
            return
        self._described.add(id(graph))
        self._journal.put(EventKind.GRAPH_DESCRIBED, lambda: self._plain.data(described(graph)))

    # -- graphs

    async def run(
        self,
        graph: Any,
        input: Any,  # noqa: A002  # LangGraph's own word
        config: Any = None,
        *,
        cause: str = "message",
        command_id: str | None = None,
        subgraphs: bool = True,
        **options: Any,
    ) -> AsyncGenerator[Any, None]:
        """Run a graph and record it: `graph.astream(…, version="v2")`, its parts untouched.

        Parts are {"type", "ns", "data"}; `ns` is () for the graph itself and longer for a
        subgraph's, which come too unless `subgraphs` is False. Times are taken in the nodes, so a
        slow reader of this generator does not change them. Close it to cancel the run.
        """
        run = Run(
            run=str(run_id := uuid4()),
            cause=cause,
            command_id=current_command.get() if command_id is None else command_id,
            ours=self._callbacks is not None,
        )
        if self._callbacks is not None:
            self.guard(self.runs.expect, run_id, run)
            config = self.guard(self._with_callbacks, graph, config, run_id) or config
        self.describe(graph)
        stream = graph.astream(
            input,
            config,
            stream_mode=list(STREAM_MODES),
            version="v2",
            subgraphs=subgraphs,
            **options,
        )
        try:
            async with aclosing(stream):
                async for part in stream:
                    self.guard(self._part, run, part)
                    yield part
        except BaseException as exc:
            self.guard(self.runs.fail, run, exc)
            raise

    def _part(self, run: Run, part: Any) -> None:
        kind, data = part["type"], part["data"]
        if kind == "custom":
            self.emit(EventKind.CUSTOM, run=run.run, task="", node="", name="", data=data)
        elif kind == "checkpoints" and not part["ns"]:
            configurable = (data.get("config") or {}).get("configurable", {})
            run.next = [str(node) for node in data.get("next") or ()]
            self.runs.checkpoint_saved(
                run,
                int((data.get("metadata") or {}).get("step", -1)),
                str(configurable.get("checkpoint_id", "")),
                list(run.next),
                data.get("values"),
            )

    def _with_callbacks(self, graph: Any, config: Any, run_id: object) -> dict[str, Any]:
        """The configuration with our handler beside those that it, or the graph, has."""
        made = dict(config or {})
        given = made.get("callbacks")
        if given is None:
            given = (getattr(graph, "config", None) or {}).get("callbacks")
        if given is None or isinstance(given, list):
            made["callbacks"] = [*(given or ()), self._callbacks]
        else:  # a manager
            made["callbacks"] = given.copy()
            made["callbacks"].add_handler(self._callbacks, True)
        made["run_id"] = run_id
        return made

    def _install_callbacks(self) -> None:
        try:
            from switchboard_recorder.callbacks import Callbacks, current
        except ModuleNotFoundError as exc:
            if (exc.name or "").partition(".")[0] == "langchain_core":
                return  # an agent without LangChain has no graphs
            raise
        self._callbacks = Callbacks(self.runs, self.guard)
        current.install(self._callbacks)

    # -- commands

    def on_command(self, handler: Handler, actions: Iterable[Action] = USUAL_ACTIONS) -> None:
        """Who carries out commands, and which: before the first await after `record()`."""
        self.commands.handle(handler, tuple(str(Action(action)) for action in actions))

    def _commanded(self, command: Command) -> None:
        self.guard(self.commands.take, command)

    # -- the connection

    def _owner(self) -> Owner:
        return Owner(hello=self.hello, url=self._address.url, api_key=self._address.api_key)

    def _hello_now(self) -> Hello:
        return replace(self.hello, actions=self.commands.actions)

    def _welcomed(self, welcome: Welcome) -> None:
        self.session_id = welcome.session_id or self.session_id
        if not self._closing and (self._orphans is None or self._orphans.done()):
            self._orphans = asyncio.create_task(self._deliver_others(), name="switchboard-orphans")

    async def _deliver_others(self) -> None:
        await deliver_orphans(
            self._spool_dir,
            self._address.url,
            api_key=self._address.api_key,
            api_secret=self._address.api_secret,
            same_url=True,
            patience=self._patience,
        )

    async def aclose(self, reason: str = "") -> None:
        """Say good-bye, at most `bye_s` (2 s) long. What is not delivered by then stays on disk."""
        if self._closing or self._journal is None or self._sender is None:
            return
        self._closing = True
        self.emit(EventKind.JOB_ENDED, reason=reason)
        try:
            async with asyncio.timeout(self._patience.bye_s):
                await self._close(self._journal, self._sender, reason)
        except TimeoutError:
            log.warning("The recorder's last events were not taken in time; they are kept.")
        except Exception as exc:  # noqa: BLE001  # the job ends all the same
            log.warning("The recorder did not end well: %s.", type(exc).__name__)
        self.guard(self._journal.finish_soon)

    async def _close(self, journal: Journal, sender: Sender, reason: str) -> None:
        if self._callbacks is not None:
            from switchboard_recorder.callbacks import current

            current.remove(self._callbacks)
        if self._orphans is not None:
            self._orphans.cancel()
        await self.commands.aclose()
        await asyncio.to_thread(journal.close, self._patience.bye_s / 2)
        await sender.finish(reason, self._patience.bye_s * 0.6)
        await asyncio.to_thread(journal.finish)


def record(
    ctx: Any,
    session: Any,
    *,
    session_id: str | None = None,
    url: str | None = None,
    spool_dir: Path | str | None = None,
    redact: Redact | None = None,
    on_command: Handler | None = None,
    actions: Iterable[Action] = USUAL_ACTIONS,
) -> Recorder:
    """Record this job from now on; call it before `session.start()`. Never raises.

    `ctx` is LiveKit's JobContext, `session` its AgentSession. `url` is the dashboard's
    (`SWITCHBOARD_URL`, else http://localhost:8501); LiveKit's key and secret come from
    `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`. `session_id` is the dashboard's session, by default
    that of the job's metadata; without one the dashboard goes by the room. `on_command` carries out
    `actions`.
    """
    try:
        stream_id = new_stream_id()
        hello = hello_of(ctx, stream_id=stream_id, session_id=session_id)
        recorder = Recorder(hello, url=url or "", spool_dir=spool_dir, redact=redact)
    except Exception as exc:  # noqa: BLE001  # a recorder that records nothing is better than no call
        log.warning("This job is not recorded: %s.", type(exc).__name__)
        return Recorder(Hello(stream_id="", room_name=""))
    if on_command is not None:
        recorder.guard(recorder.on_command, on_command, actions)
    recorder.guard(recorder.start)
    recorder.guard(_begin, recorder, ctx, session)
    return recorder


def _begin(recorder: Recorder, ctx: Any, session: Any) -> None:
    recorder.emit(
        EventKind.JOB_STARTED,
        pid=os.getpid(),
        host=recorder.hello.host,
        versions=versions(),
        metadata=str(ctx.job.metadata or ""),
    )

    def begun() -> None:
        if (graph := graph_of(session)) is not None:
            recorder.describe(graph)

    async def end(reason: str) -> None:
        """Registered with the job's shutdown."""
        recorder.guard(_report, recorder, ctx, session)
        await recorder.aclose(reason)

    ctx.add_shutdown_callback(end)
    CallEvents(recorder.emit, recorder.live, recorder.guard, begun).hook(session)


def _report(recorder: Recorder, ctx: Any, session: Any) -> None:
    recorder.emit(EventKind.REPORT, report=report_of(ctx, session))
