"""Plugins by name in SWITCHBOARD_STT and SWITCHBOARD_TTS."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from livekit.agents import stt, tts

from agents.speech.client import SpeechClient
from agents.speech.parts import speech_parts
from agents.speech.plugins import wanted
from agents.speech.server import open_speech_server
from services.errors import ConfigError
from services.settings import Settings

_SOURCE = """
from livekit.agents import stt, tts


class STT(stt.STT):
    def __init__(self, *, model: str = "small", api_key: str | None = None) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.chosen = model
        if model == "broken":
            raise ValueError("API key is required")

    async def _recognize_impl(self, buffer, *, language=None, conn_options):
        raise NotImplementedError


class TTS(tts.TTS):
    def __init__(self, *, voice: str = "anna") -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=24000, num_channels=1
        )
        self.chosen = voice

    def synthesize(self, text, *, conn_options=None):
        raise NotImplementedError
"""


@pytest.fixture
def whistler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed plugin, livekit.plugins.whistler."""
    folder = tmp_path / "livekit" / "plugins"  # a part of LiveKit's namespace package
    for name, source in (("whistler", _SOURCE), ("thirsty", "import water_that_nobody_has")):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(source)
    for name in ("plugins", "plugins.whistler", "plugins.thirsty"):
        monkeypatch.delitem(sys.modules, f"livekit.{name}", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))


def _settings(hears: str, speaks: str = 'whistler.TTS {"voice": "otto"}') -> Settings:
    return Settings(switchboard_stt=hears, switchboard_tts=speaks)


@pytest.mark.usefixtures("whistler")
def test_a_plugin_is_made_with_its_arguments() -> None:
    parts = speech_parts(_settings('whistler.STT {"model": "nova-3"}'))
    assert isinstance(parts.stt, stt.STT)
    assert isinstance(parts.tts, tts.TTS)
    assert vars(parts.stt)["chosen"] == "nova-3"
    assert vars(parts.tts)["chosen"] == "otto"


@pytest.mark.usefixtures("whistler")
def test_one_half_may_be_offline() -> None:
    client = SpeechClient("unix:/nowhere", "token")
    parts = speech_parts(_settings("whistler.STT", "offline"), client)
    assert (parts.tts.model, parts.tts.provider) == ("en_US-joe-medium", "offline")


@pytest.mark.usefixtures("whistler")
async def test_no_process_is_started_for_plugins_alone() -> None:
    async with open_speech_server(_settings("whistler.STT")) as server:
        assert server is None


@pytest.mark.usefixtures("whistler")
@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (
            "deepgram.STT",
            "plugin deepgram is not installed",
            "pip install livekit-plugins-deepgram",
        ),
        ("open_ai_x.STT", "is not installed", "pip install livekit-plugins-open-ai-x"),
        ("thirsty.STT", "needs the package water_that_nobody_has", "livekit-plugins-thirsty"),
        ("whistler.Ear", "no STT of the name Ear", "It has: STT"),
        ("whistler.TTS", "no STT of the name TTS", "It has: STT"),
        ('whistler.STT {"modell": "x"}', "unexpected keyword argument 'modell'", "model, api_key"),
        ('whistler.STT {"model": "broken"}', "refused: API key is required", "key in the env"),
        ("whistler", "names no plugin", "Write offline"),
        ("whistler.STT model=nova", "names no plugin", "Write offline"),
        ("os.path.join {}", "names no plugin", "Write offline"),
        ('whistler.STT {"model": }', "are not JSON", "nova-3"),
    ],
)
def test_what_cannot_be_made_is_explained(value: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as info:
        speech_parts(_settings(value))
    assert "SWITCHBOARD_STT" in info.value.message
    assert hint in info.value.hint


def test_offline_is_no_plugin() -> None:
    assert wanted("SWITCHBOARD_STT", " Offline ") is None


def test_a_job_without_a_speech_process_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPEECH_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match="No speech process is known"):
        speech_parts(Settings())
