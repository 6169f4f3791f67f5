"""A spoken call over a real LiveKit server: the parts as the worker uses them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from bench.speech import open_bed
from tests.support.waiting import eventually
from tests.support.words import error_rate


@pytest.mark.full  # test_stand_up does the same with the worker itself
async def test_a_call_is_heard_answered_interrupted_and_survives_its_speech_process(
    tmp_path: Path,
) -> None:
    async with open_bed(tmp_path) as bed:
        caller = await bed.call("spoken-call")
        turn = await caller.say("The payment form is blocked by the design team.")
        assert error_rate([(turn.said, turn.heard)]) <= 0.2
        assert error_rate([(f"You said {turn.said}", turn.answer_text)]) <= 0.3
        assert 0 < turn.first_audio_ms < 5_000

        cut = await caller.interrupt("Tell me a story please.", "Who is working on the search?")
        assert cut.stopped_ms < 3_000  # the story takes 17 s; bench/speech.py has the figure
        assert "search" in cut.after.heard.lower()

        started = next(x for x in bed.worker.log_text().splitlines() if x.startswith('{"pid"'))
        os.kill(json.loads(started)["speech"], signal.SIGKILL)
        await eventually(lambda: "the speech process is back" in bed.worker.log_text(), within_s=30)
        turn = await caller.say("Can you repeat that please?")
        assert error_rate([(turn.said, turn.heard)]) <= 0.2
