"""What a browser found out about itself and its way to LiveKit, judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, Self, get_args

from services.access.audit_log import AuditLog
from services.access.authorization import guarded
from services.access.permissions import Caller, Permission
from services.health.findings import Area, Check, Finding
from services.ids import DOCTOR_PREFIX, new_identity
from services.livekit.service import LiveKitService, RoomOptions
from services.livekit.tokens import Grants, MintedToken, TokenRequest

MicrophonePermission = Literal["granted", "denied", "prompt", "unknown"]
Way = Literal["udp", "tcp", "relay", "unknown", "none"]
Failure = Literal["", "refused", "signal", "media"]

_TTL: Final = timedelta(minutes=2)
_EMPTY_S: Final = 30
_SLOW_MS: Final = 150.0
_MOST_MS: Final = 60_000.0
_MOST_DEVICES: Final = 100

PAGE = Check(
    code="device_page",
    area=Area.BROWSER,
    name="Page",
    impact="Browsers allow the microphone only on https pages and on localhost.",
)
WEBRTC = Check(
    code="device_webrtc",
    area=Area.BROWSER,
    name="WebRTC",
    impact="Audio to and from LiveKit uses WebRTC.",
)
PERMISSION = Check(
    code="device_permission",
    area=Area.BROWSER,
    name="Permission",
    impact="Without microphone permission the agent hears nothing.",
)
DEVICES = Check(
    code="device_devices",
    area=Area.BROWSER,
    name="Devices",
    impact="A voice call needs a microphone and a speaker or headphones.",
)
SIGNAL = Check(
    code="device_signal",
    area=Area.NETWORK,
    name="LiveKit connection",
    impact="Joining a room starts with a WebSocket connection to LiveKit.",
)
MEDIA = Check(
    code="device_media",
    area=Area.NETWORK,
    name="Audio path",
    impact="Audio uses separate ports that firewalls often block.",
)
DELAY = Check(
    code="device_delay",
    area=Area.NETWORK,
    name="Round trip",
    impact="The round-trip time is added to every answer.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A browser's report of itself. Times in ms; None: not measured."""

    secure: bool
    webrtc: bool
    devices: bool  # the page can ask for some
    permission: MicrophonePermission
    inputs: int
    outputs: int
    failure: Failure
    signal_ms: float | None
    way: Way
    rtt_ms: float | None

    @classmethod
    def from_browser(cls, told: object) -> Self | None:
        """From what the page's component says; None where it has no such form."""
        if not isinstance(told, Mapping):
            return None
        try:
            return cls(
                secure=_flag(told, "secure"),
                webrtc=_flag(told, "webrtc"),
                devices=_flag(told, "devices"),
                permission=_one_of(told, "permission", get_args(MicrophonePermission)),
                inputs=_count(told, "inputs"),
                outputs=_count(told, "outputs"),
                failure=_one_of(told, "failure", get_args(Failure)),
                signal_ms=_ms(told, "signalMs"),
                way=_one_of(told, "way", get_args(Way)),
                rtt_ms=_ms(told, "rttMs"),
            )
        except (KeyError, ValueError):
            return None


class DeviceCheck:
    """What the check of a browser needs of LiveKit; on the runtime's loop."""

    def __init__(self, livekit: LiveKitService, audit: AuditLog) -> None:
        self._livekit = livekit
        self.audit = audit

    @guarded(Permission.TEST)
    async def ticket(self, *, actor: Caller) -> MintedToken:
        """A token to join a room of the doctor's own, which closes by itself some seconds later.

        No session is made of it, and nobody else can join it.

        Raises:
            LiveKitUnavailableError: the room could not be made.
        """
        name = new_identity(DOCTOR_PREFIX)
        await self._livekit.create_room(
            RoomOptions(
                name=name, empty_timeout_s=_EMPTY_S, departure_timeout_s=1, max_participants=1
            )
        )
        return self._livekit.generate_token(
            TokenRequest(
                identity=name,
                room=name,
                ttl=_TTL,
                grants=Grants(room_join=True, can_subscribe=False, can_publish_data=False),
            )
        )


def judge(probe: Probe) -> tuple[Finding, ...]:
    """What is well and what to change, in the order in which a call needs it."""
    return (
        _page(probe),
        _webrtc(probe),
        _permission(probe),
        _devices(probe),
        *_network(probe),
    )


def _page(probe: Probe) -> Finding:
    if not probe.secure:
        return PAGE.problem(
            "The page was loaded over http from another machine.",
            "Open the dashboard over https, or as localhost on the dashboard's machine.",
        )
    return PAGE.ok("The page can use the microphone.")


def _webrtc(probe: Probe) -> Finding:
    if not probe.webrtc:
        return WEBRTC.problem(
            "WebRTC is not available, or an extension has disabled it.",
            "Use a current version of Chrome, Edge, Firefox or Safari, and check privacy extensions.",
        )
    return WEBRTC.ok("Available.")


def _permission(probe: Probe) -> Finding:
    if probe.permission == "denied":
        return PERMISSION.problem(
            "The microphone is blocked for this page.",
            "Allow it in the browser's address bar, then check again.",
        )
    if probe.permission == "prompt":
        return PERMISSION.unknown("The browser asks when a call or the microphone check starts.")
    if probe.permission == "unknown":
        return PERMISSION.unknown("This browser doesn't report the permission. It may ask.")
    return PERMISSION.ok("Granted.")


def _devices(probe: Probe) -> Finding:
    if not probe.devices:
        return DEVICES.problem(
            "This browser doesn't give the page access to devices.", "See the checks above."
        )
    if probe.inputs == 0:
        return DEVICES.problem("No microphone found.", "Connect a microphone, then check again.")
    inputs = f"{probe.inputs} {'input' if probe.inputs == 1 else 'inputs'}"
    if probe.outputs == 0:  # Firefox and Safari do not name them
        return DEVICES.ok(f"{inputs}. This browser doesn't list outputs.")
    return DEVICES.ok(f"{inputs}, {probe.outputs} {'output' if probe.outputs == 1 else 'outputs'}.")


def _network(probe: Probe) -> tuple[Finding, ...]:
    if not probe.webrtc:
        return (SIGNAL.unknown("Not tested: WebRTC is not available."),)
    match probe.failure:
        case "signal":
            return (
                SIGNAL.problem(
                    "This browser can't reach LiveKit.",
                    "Set LIVEKIT_PUBLIC_URL to an address that browsers can reach. On an https page it "
                    "must start with wss://.",
                ),
            )
        case "refused":
            return (
                SIGNAL.problem(
                    "LiveKit rejected a new token.",
                    "Run the health checks on the System page. The clocks may differ.",
                ),
            )
        case "media":
            return (
                SIGNAL.ok(_took(probe)),
                MEDIA.problem(
                    "No audio path could be established.",
                    "Open LiveKit's media ports (UDP 50000-60000, TCP 7881) for browsers, or configure "
                    "a TURN server. LiveKit must announce an address that browsers can reach.",
                ),
            )
    return (SIGNAL.ok(_took(probe)), _way(probe), _delay(probe))


def _took(probe: Probe) -> str:
    return "Connected." if probe.signal_ms is None else f"Connected in {probe.signal_ms:.0f} ms."


def _way(probe: Probe) -> Finding:
    match probe.way:
        case "udp":
            return MEDIA.ok("Direct (UDP).")
        case "tcp":
            return MEDIA.warning(
                "TCP only: audio may stutter.",
                "Open LiveKit's UDP ports (50000-60000) for browsers.",
            )
        case "relay":
            return MEDIA.ok("Via TURN relay.")
    return MEDIA.unknown("Connected. This browser doesn't report the path.")


def _delay(probe: Probe) -> Finding:
    if probe.rtt_ms is None:
        return DELAY.unknown("Not measured by this browser.")
    if probe.rtt_ms > _SLOW_MS:
        return DELAY.warning(
            f"{probe.rtt_ms:.0f} ms.",
            "Disconnect the VPN or the mobile network, or use a LiveKit server that is closer.",
        )
    return DELAY.ok(f"{probe.rtt_ms:.0f} ms." if probe.rtt_ms >= 1 else "Under 1 ms.")


# -- the browser's word


def _flag(told: Mapping[Any, Any], name: str) -> bool:
    value = told[name]
    if not isinstance(value, bool):
        raise ValueError(name)
    return value


def _one_of(told: Mapping[Any, Any], name: str, known: tuple[Any, ...]) -> Any:
    value = told[name]
    if value not in known:
        raise ValueError(name)
    return value


def _count(told: Mapping[Any, Any], name: str) -> int:
    value = told[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_DEVICES:
        raise ValueError(name)
    return value


def _ms(told: Mapping[Any, Any], name: str) -> float | None:
    value = told[name]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_MS:
        raise ValueError(name)
    return float(value)
