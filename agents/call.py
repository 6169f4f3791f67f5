"""One job: the agent joins a room, hears, thinks by its graph, speaks, and is recorded."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

from livekit.agents import (
    Agent,
    AgentSession,
    CloseEvent,
    JobContext,
    JobProcess,
    ModelSettings,
    StopResponse,
    llm,
)
from livekit.agents.voice.room_io import RoomOptions, TextOutputOptions

from agents.control import OVER, Control
from agents.registry import load_graph
from agents.speech.parts import speech_parts
from agents.thread import FAILED, GraphThread
from services.checkpointer import open_checkpointer
from services.settings import Settings, load_settings
from switchboard_recorder import Action, Command, Reply, record

log = logging.getLogger(__name__)

_CONNECT_S: Final = 15.0
_DELIVERED_S: Final = 0.5
_SPOKEN_WITHIN_S: Final = 12.0  # the graph's own last words


def prewarm(process: JobProcess) -> None:
    """Before a job comes: read the settings, import what every job needs."""
    process.userdata["settings"] = load_settings()


async def enter(ctx: JobContext) -> None:
    """The job. Its agent's name is its graph's name; its metadata is what the session was told."""
    settings: Settings = ctx.proc.userdata["settings"]
    call = Call(ctx, settings)
    await call.start()


class NoModel(llm.LLM[Any]):
    """Stands where AgentSession wants a model: without one it would not call `llm_node`."""

    def chat(self, **_: Any) -> llm.LLMStream:
        """Never called: `GraphAgent.llm_node` answers."""
        raise RuntimeError("the graph answers, not a model")


class GraphAgent(Agent):
    """Lets a graph answer what the caller said."""

    def __init__(self, thread: GraphThread) -> None:
        super().__init__(instructions="")
        self._thread = thread
        self.call: Call | None = None

    async def on_enter(self) -> None:
        """Greet, or say that the conversation goes on."""
        _ = self.session.say(self._thread.begin())

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """No answer while a person has taken over, nor to a silence."""
        if self.call is not None and self.call.control.silent:
            raise StopResponse

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[str, None]:
        """The graph's answer, piece by piece, as its nodes and models make it."""
        if self.call is None or self.call.control.silent:
            return
        try:
            async with aclosing(self._thread.reply(_last_words(chat_ctx))) as spoken:  # type: ignore[type-var]
                async for piece in spoken:
                    yield piece
        except Exception:
            log.exception("the graph failed")
            yield FAILED
        if self._thread.over:
            self.call.end_when_said(OVER)


class Call:
    """What belongs to one job, from joining to leaving."""

    def __init__(self, ctx: JobContext, settings: Settings) -> None:
        self._ctx = ctx
        self._settings = settings
        self._stack = AsyncExitStack()
        self._aio_tasks: set[asyncio.Task[None]] = set()
        self._told = {**_of_room(ctx.job.room.metadata), **_metadata(ctx.job.metadata)}
        self._ending = False
        self._talks = asyncio.Event()
        self.control: Control

    async def start(self) -> None:
        """Join, take up the thread, and begin to talk."""
        began_s = time.monotonic()
        ctx, told = self._ctx, self._told
        session_id = told.get("session_id", "")
        thread_id = session_id or ctx.job.room.sid or ctx.job.room.name
        voice = told.get("mode", "voice") != "text"
        connecting = asyncio.create_task(self._connect())
        try:
            checkpointer = await self._stack.enter_async_context(open_checkpointer(self._settings))
            agent_graph = await load_graph(ctx.job.agent_name, checkpointer)
            session = self._session(voice=voice)
            recorder = record(
                ctx,
                session,
                session_id=session_id or None,
                on_command=self._obey,
                actions=tuple(Action),
            )
            recorder.describe(agent_graph.graph)
            thread = GraphThread(
                agent_graph.graph,
                recorder,
                thread_id=thread_id,
                configurable={"session_id": session_id, "user_id": told.get("user_id", "")},
                waiting=agent_graph.waiting,
            )
            await thread.open()
            self.control = Control(
                session,
                thread,
                end=self._end,
                end_when_said=self.end_when_said,
                tell=recorder.emit,
            )
            session.on("close", self._closed)
            ctx.add_shutdown_callback(self._stack.aclose)
            agent = GraphAgent(thread)
            agent.call = self
        finally:
            await connecting
        await session.start(
            agent,
            room=ctx.room,
            room_options=_room_options(voice=voice),
            record=False,
            session_host=False,  # it asks nobody who they are: anybody could read and steer
        )
        self._talks.set()
        took_ms = round((time.monotonic() - began_s) * 1000)
        log.info("in the room", extra={"session": session_id, "took_ms": took_ms})

    def end_when_said(self, reason: str) -> None:
        """End the session after what is being said now."""
        if self._ending:
            return
        self._ending = True
        aio_task = asyncio.get_running_loop().create_task(self._end_when_said(reason))
        self._aio_tasks.add(aio_task)
        aio_task.add_done_callback(self._aio_tasks.discard)

    # -- inside

    async def _obey(self, command: Command) -> Reply:
        """A command may come before the agent can talk: it waits."""
        await self._talks.wait()
        return await self.control(command)

    def _session(self, *, voice: bool) -> AgentSession[None]:
        parts: dict[str, Any] = {}
        if voice:
            speech = speech_parts(self._settings)
            self._stack.push_async_callback(speech.aclose)
            parts = {
                "stt": speech.stt,
                "tts": speech.tts,
                "vad": speech.vad,
                "turn_handling": speech.turn_handling,
                "aec_warmup_duration": None,  # else a barge-in at the start is swallowed
            }
        return AgentSession(llm=NoModel(), user_away_timeout=None, **parts)

    async def _connect(self) -> None:
        async with asyncio.timeout(_CONNECT_S):
            await self._ctx.connect()

    def _closed(self, event: CloseEvent) -> None:
        """The session is over for AgentSession: the caller left, or it failed. So is the job."""
        self._ctx.shutdown(reason=event.reason.value)

    async def _end_when_said(self, reason: str) -> None:
        session = self._ctx.primary_session
        try:
            async with asyncio.timeout(_SPOKEN_WITHIN_S):
                while (speech := session.current_speech) is not None:
                    await speech.wait_for_playout()
        except TimeoutError:
            log.warning("the last words took too long")
        await self._end(reason)

    async def _end(self, reason: str) -> None:
        """End the whole session: with the room gone, nobody is left alone in it."""
        self._ending = True
        await asyncio.sleep(
            _DELIVERED_S
        )  # the last words are on their way; nothing tells of their arrival
        await self._ctx.delete_room()
        self._ctx.shutdown(reason=reason)


def _room_options(*, voice: bool) -> RoomOptions:
    if voice:
        return RoomOptions()
    text = TextOutputOptions(sync_transcription=False)  # no audio to keep step with
    return RoomOptions(audio_input=False, audio_output=False, text_output=text)


def _metadata(text: str) -> dict[str, str]:
    """What the dispatch told: `session_id`, `user_id`, `mode`. Others' metadata may be anything."""
    try:
        told = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    return {str(name): value for name, value in told.items() if isinstance(value, str)}


def _of_room(text: str) -> dict[str, str]:
    """What the dashboard wrote into the room, for a dispatch whose metadata is somebody else's."""
    try:
        mark = json.loads(text or "{}").get("switchboard", {})
        return {"session_id": mark["session_id"]}
    except (ValueError, AttributeError, KeyError, TypeError):
        return {}


def _last_words(chat_ctx: llm.ChatContext) -> str:
    for item in reversed(chat_ctx.items):
        if item.type == "message" and item.role == "user":
            return item.text_content or ""
    return ""
