"""Running scripts: a synthetic caller in a real session, line by line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.errors import SwitchboardError
from services.livekit.speaking_participant import SpeakingCaller
from services.livekit.synthetic_participant import TextCaller
from services.scripts.api import Api, ScriptError
from services.scripts.result import LineResult, ScriptResult, check
from services.scripts.script import Line, Script
from services.scripts.voice import spoken_files

_WITHIN_S: Final = {"text": 15.0, "voice": 40.0}
_QUIET_S: Final = {"text": 0.3, "voice": 1.0}
_LOOK_S: Final = 0.02
_NODES_S: Final = 3.0
_AT_REST: Final = "listening"

Said = Callable[[str], None]


@dataclass(slots=True)
class _Heard:
    """What has come from the agent so far."""

    aloud: bool
    lines: dict[str, str] = field(default_factory=dict)
    mine: dict[str, str] = field(default_factory=dict)
    state: str = ""
    changed_s: float = 0.0
    first_s: float | None = None  # the first sign of the answer that is waited for
    left: str = ""

    def heard(self, segment: str, text: str) -> None:
        self.lines[segment] = text
        self.changed_s = time.monotonic()
        if not self.aloud:
            self.sounds()

    def understood(self, segment: str, text: str) -> None:
        self.mine[segment] = text
        self.changed_s = time.monotonic()

    def sounds(self) -> None:
        if self.first_s is None:
            self.first_s = time.monotonic()

    def says(self, word: str) -> None:
        self.state = word
        self.changed_s = time.monotonic()

    def gone(self, reason: str) -> None:
        self.left = reason or "the room has ended"


async def run(script: Script, api: Api, *, tell: Said = lambda _: None) -> ScriptResult:
    """Carry out one script in a session of its own, which is ended afterwards.

    `tell` is called with a sentence before each line. Never raises what a dashboard or a room
    may do: that is the result's `error`.
    """
    began_s, session_id, lines = time.monotonic(), "", list[LineResult]()
    error = ""
    try:
        files = await spoken_files(_texts(script)) if script.mode == "voice" else {}
        made = await api.create(script.agent, script.user, script.mode)
        session_id = str(made["session_id"])
        heard = _Heard(aloud=script.mode == "voice")
        async with _joined(script, made, heard) as caller:
            session = _Session(script, api, session_id, caller, heard, files)
            for line in script.lines:
                tell(line.say or (f"decides: {line.decide}" if line.decide else "listens"))
                lines.append(await session.step(line))
    except SwitchboardError as exc:
        error = f"{exc.message} {exc.hint}".strip()
    finally:
        if session_id:
            error = error or await _ended(api, session_id)
    return ScriptResult(
        script=script,
        session_id=session_id,
        lines=tuple(lines),
        took_s=time.monotonic() - began_s,
        error=error,
    )


async def _ended(api: Api, session_id: str) -> str:
    try:
        await api.end(session_id)
    except SwitchboardError as exc:
        return f"The session was not ended: {exc.message}"
    return ""


def _texts(script: Script) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.say for line in script.lines if line.say is not None))


class _joined:  # noqa: N801 - used like a function
    """The caller, in the room until the end of the block."""

    def __init__(self, script: Script, made: dict[str, object], heard: _Heard) -> None:
        self._made = made
        kind = SpeakingCaller if script.mode == "voice" else TextCaller
        self._caller: TextCaller = kind(
            heard=heard.heard, understood=heard.understood, state=heard.says, left=heard.gone
        )

    async def __aenter__(self) -> TextCaller:
        await self._caller.join(str(self._made["server_url"]), str(self._made["token"]))
        return self._caller

    async def __aexit__(self, *_: object) -> None:
        await self._caller.leave()


class _Session:
    """The steps of one script in its session."""

    def __init__(
        self,
        script: Script,
        api: Api,
        session_id: str,
        caller: TextCaller,
        heard: _Heard,
        files: dict[str, Path],
    ) -> None:
        self._script = script
        self._api = api
        self._id = session_id
        self._caller = caller
        self._heard = heard
        self._files = files
        self._seen: set[str] = set()
        self._after = 0

    async def step(self, line: Line) -> LineResult:
        """Say or decide what the line tells, and wait for what comes of it."""
        heard, mine = self._heard, set(self._heard.mine)
        within_s = line.within_s or _WITHIN_S[self._script.mode]
        if line.say is not None or line.decide is not None:
            heard.first_s = None
        ended_s = await self._act(line, within_s)
        await self._settled(line, within_s)
        answered = self._answer()
        path, self._after = await self._path(line)
        latency = None
        if heard.first_s is not None and (line.say is not None or line.decide is not None):
            latency = (heard.first_s - ended_s) * 1000
        self._seen = set(heard.lines)
        return LineResult(
            said=line.say or (f"({line.decide})" if line.decide else ""),
            heard=" ".join(text for key, text in heard.mine.items() if key not in mine)
            or (line.say or "" if self._script.mode == "text" else ""),
            answered=answered,
            path=tuple(path),
            latency_ms=latency,
            problems=check(line.expect, answered, path, latency),
        )

    async def _act(self, line: Line, within_s: float) -> float:
        """Gives the moment at which the line was over."""
        if line.decide is not None:
            question = await self._question(within_s)
            began_s = time.monotonic()
            await self._api.decide(self._id, question, line.decide, line.args)
            return began_s
        if line.say is not None:
            if isinstance(self._caller, SpeakingCaller):
                return await self._caller.speak(self._files[line.say], sound=self._heard.sounds)
            await self._caller.write(line.say)
        return time.monotonic()

    async def _question(self, within_s: float) -> str:
        ends_s = time.monotonic() + within_s
        while time.monotonic() < ends_s:
            if asked := await self._api.asked(self._id):
                return str(asked[0]["interrupt_id"])
            await asyncio.sleep(0.1)
        raise ScriptError(
            "The graph has no pending interrupt to decide.", hint="Check the order of the lines."
        )

    async def _settled(self, line: Line, within_s: float) -> None:
        """Until the answer is whole: what is expected is there, and the agent listens quietly."""
        quiet_s, ends_s = _QUIET_S[self._script.mode], time.monotonic() + within_s
        wanted = [text.casefold() for text in line.expect.contains]
        while time.monotonic() < ends_s and not self._heard.left:
            answer = self._answer().casefold()
            still = time.monotonic() - self._heard.changed_s >= quiet_s
            if (
                answer
                and still
                and self._heard.state == _AT_REST
                and all(text in answer for text in wanted)
            ):
                return
            await asyncio.sleep(_LOOK_S)

    def _answer(self) -> str:
        lines = self._heard.lines
        return " ".join(text for key, text in lines.items() if key not in self._seen).strip()

    async def _path(self, line: Line) -> tuple[list[str], int]:
        """The nodes of this step. What the recorder told may be on its way for a moment."""
        wanted = set(line.expect.visits) | set(line.expect.path or ())
        ends_s, after, nodes = time.monotonic() + _NODES_S, self._after, list[str]()
        while True:
            more, after = await self._api.nodes(self._id, after)
            nodes += more
            if wanted <= set(nodes) or time.monotonic() > ends_s:
                return nodes, after
            await asyncio.sleep(0.1)
