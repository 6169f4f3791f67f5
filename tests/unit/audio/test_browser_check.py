"""What a browser tells of itself: taken only in its form, and judged."""

from __future__ import annotations

from typing import Any

import pytest

from services.audio.browser_check import Probe, judge
from services.health.findings import Finding, Verdict

TOLD: dict[str, Any] = {
    "secure": True,
    "webrtc": True,
    "devices": True,
    "permission": "granted",
    "inputs": 2,
    "outputs": 1,
    "failure": "",
    "signalMs": 120.4,
    "way": "udp",
    "rttMs": 3,
}


def judged(**changes: object) -> dict[str, Finding]:
    probe = Probe.from_browser({**TOLD, **changes})
    assert probe is not None
    return {one.code.removeprefix("device_"): one for one in judge(probe)}


def test_a_browser_that_can_all_is_well() -> None:
    found = judged()
    assert {one.verdict for one in found.values()} == {Verdict.OK}
    assert "120 ms" in found["signal"].found


@pytest.mark.parametrize(
    ("changes", "code", "verdict"),
    [
        ({"secure": False}, "page", Verdict.PROBLEM),
        ({"webrtc": False}, "webrtc", Verdict.PROBLEM),
        ({"webrtc": False, "failure": "media", "way": "none"}, "signal", Verdict.UNKNOWN),
        ({"permission": "denied"}, "permission", Verdict.PROBLEM),
        ({"permission": "prompt"}, "permission", Verdict.UNKNOWN),
        ({"permission": "unknown"}, "permission", Verdict.UNKNOWN),
        ({"devices": False}, "devices", Verdict.PROBLEM),
        ({"inputs": 0}, "devices", Verdict.PROBLEM),
        ({"outputs": 0}, "devices", Verdict.OK),
        ({"failure": "signal"}, "signal", Verdict.PROBLEM),
        ({"failure": "refused"}, "signal", Verdict.PROBLEM),
        ({"failure": "media", "way": "none"}, "media", Verdict.PROBLEM),
        ({"way": "tcp"}, "media", Verdict.WARNING),
        ({"way": "relay"}, "media", Verdict.OK),
        ({"way": "unknown"}, "media", Verdict.UNKNOWN),
        ({"rttMs": 400}, "delay", Verdict.WARNING),
        ({"rttMs": None}, "delay", Verdict.UNKNOWN),
        ({"rttMs": 0.2}, "delay", Verdict.OK),
    ],
)
def test_each_weakness_has_its_verdict(
    changes: dict[str, object], code: str, verdict: Verdict
) -> None:
    found = judged(**changes)[code]
    assert found.verdict is verdict
    assert found.mend or verdict not in {Verdict.PROBLEM, Verdict.WARNING}


@pytest.mark.parametrize(
    "told",
    [
        None,
        "x",
        {},
        {**TOLD, "secure": 1},
        {**TOLD, "permission": "<b>"},
        {**TOLD, "permission": ["granted"]},
        {**TOLD, "inputs": -1},
        {**TOLD, "inputs": 1e9},
        {**TOLD, "inputs": True},
        {**TOLD, "signalMs": "1"},
        {**TOLD, "signalMs": float("nan")},
        {**TOLD, "rttMs": float("inf")},
        {**TOLD, "way": None},
    ],
)
def test_another_form_is_not_taken(told: object) -> None:
    assert Probe.from_browser(told) is None
