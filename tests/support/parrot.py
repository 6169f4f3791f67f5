"""A small worker whose agent says what it heard: `python -m tests.support.parrot`.

The speech parts of Switchboard's own worker, without its graphs: what is measured with it is
hearing and speaking. Asked for a story it tells a long one. LiveKit from the environment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncGenerator
from typing import Any, Final

from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    ModelSettings,
    llm,
)

from agents.speech.parts import speech_parts
from agents.speech.server import open_speech_server
from services.settings import load_settings

NAME: Final = "parrot"
_STORY: Final = (
    "Once upon a time there was a small team with a very large backlog. "
    "Every morning they met in front of the board, and every morning the board had grown. "
    "One day the youngest of them took a pen, and crossed out every second ticket. "
    "Nobody noticed it for a week, and the team was happier than it had ever been. "
)


class NoModel(llm.LLM[Any]):
    """Stands where AgentSession wants a model."""

    def chat(self, **_: Any) -> llm.LLMStream:
        raise RuntimeError("the parrot answers, not a model")


class Parrot(Agent):
    """Says what it heard."""

    def __init__(self) -> None:
        super().__init__(instructions="")

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[str, None]:
        last = chat_ctx.items[-1]
        heard = (last.text_content or "") if last.type == "message" else ""
        yield _STORY if "story" in heard.lower() else f"You said: {heard}"


async def enter(ctx: JobContext) -> None:
    """One call."""
    parts = speech_parts(load_settings(env_file=None))
    session: AgentSession[None] = AgentSession(
        llm=NoModel(),
        stt=parts.stt,
        tts=parts.tts,
        vad=parts.vad,
        turn_handling=parts.turn_handling,
        aec_warmup_duration=None,
        user_away_timeout=None,
    )
    session.on("error", lambda event: print(f"error: {event.error}", flush=True))  # noqa: T201
    session.on("close", lambda event: ctx.shutdown(reason=event.reason.value))
    await ctx.connect()
    await session.start(Parrot(), room=ctx.room, record=False, session_host=False)


async def serve() -> None:
    """Until SIGTERM. Its first line of output has the pids, as JSON."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    settings = load_settings(env_file=None)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_speech_server(settings) as speech:
        server = AgentServer(
            host="127.0.0.1",
            port=0,
            num_idle_processes=1,
            load_fnc=lambda _: 0.1,  # a busy machine is no reason to refuse
            drain_timeout=1,
            shutdown_process_timeout=5,
            initialize_process_timeout=30,
        )
        server.rtc_session(enter, agent_name=NAME)
        print(  # noqa: T201 - what it is for
            json.dumps({"pid": os.getpid(), "speech": speech and speech.pid}), flush=True
        )
        running = asyncio.create_task(server.run(devmode=False))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await server.aclose()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


if __name__ == "__main__":
    from tests.support import parrot  # jobs load this module by its name

    asyncio.run(parrot.serve())
