"""What a browser tells of itself: taken only in its form, and judged."""

from __future__ import annotations

from typing import Any

import pytest

from services.audio.browser_check import Probe, judge
from services.health.findings import Finding, Status

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
    assert {one.status for one in found.values()} == {Status.OK}
    assert "120 ms" in found["signal"].message


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"secure": False}, "page", Status.PROBLEM),
        ({"webrtc": False}, "webrtc", Status.PROBLEM),
        ({"webrtc": False, "failure": "media", "way": "none"}, "signal", Status.UNKNOWN),
        ({"permission": "denied"}, "permission", Status.PROBLEM),
        ({"permission": "prompt"}, "permission", Status.UNKNOWN),
        ({"permission": "unknown"}, "permission", Status.UNKNOWN),
        ({"devices": False}, "devices", Status.PROBLEM),
        ({"inputs": 0}, "devices", Status.PROBLEM),
        ({"outputs": 0}, "devices", Status.OK),
        ({"failure": "signal"}, "signal", Status.PROBLEM),
        ({"failure": "refused"}, "signal", Status.PROBLEM),
        ({"failure": "media", "way": "none"}, "media", Status.PROBLEM),
        ({"way": "tcp"}, "media", Status.WARNING),
        ({"way": "relay"}, "media", Status.OK),
        ({"way": "unknown"}, "media", Status.UNKNOWN),
        ({"rttMs": 400}, "delay", Status.WARNING),
        ({"rttMs": None}, "delay", Status.UNKNOWN),
        ({"rttMs": 0.2}, "delay", Status.OK),
    ],
)
def test_each_weakness_has_its_verdict(
    changes: dict[str, object], code: str, status: Status
) -> None:
    found = judged(**changes)[code]
    assert found.status is status
    assert found.fix or status not in {Status.PROBLEM, Status.WARNING}


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
