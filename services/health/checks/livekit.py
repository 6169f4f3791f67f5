"""Checks of the LiveKit server, from our side: address, key, clock, tokens, metrics."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import jwt

from services.clock import Now
from services.errors import (
    LiveKitRejectedError,
    LiveKitUnavailableError,
    NotFoundError,
    SwitchboardError,
)
from services.health.findings import Area, Check, Finding
from services.ids import DOCTOR_PREFIX, new_identity
from services.livekit.server_metrics import read_server_metrics
from services.livekit.service import LiveKitService
from services.livekit.target import LiveKitTarget
from services.livekit.tokens import Grants, TokenRequest
from services.settings import LOOPBACK, http_form

_SLOW_MS: Final = 500.0
_CLOCK_MOST_S: Final = 60.0  # go-jose's leeway, which livekit-server checks tokens with
_CLOCK_FEW_S: Final = 10.0
_SECRET_CHARACTERS: Final = 32  # livekit-server 1.13.5 warns of shorter ones (pkg/config/config.go)
_ASK_S: Final = 2.0

ANSWERS: Final = Check(
    code="livekit_answers",
    area=Area.LIVEKIT,
    name="LiveKit server",
    impact="Without LiveKit no room can be opened, seen or ended.",
)
KEY: Final = Check(
    code="livekit_key",
    area=Area.LIVEKIT,
    name="LiveKit key",
    impact="LiveKit refuses every call and every token that another key has signed.",
)
SECRET: Final = Check(
    code="livekit_secret",
    area=Area.LIVEKIT,
    name="LiveKit secret",
    impact="A short secret can be guessed from a single token.",
)
CLOCKS: Final = Check(
    code="livekit_clock",
    area=Area.LIVEKIT,
    name="Clocks",
    impact="Over a minute apart, tokens count as not yet valid, or as out of date.",
)
TOKEN: Final = Check(
    code="livekit_token",
    area=Area.LIVEKIT,
    name="Join tokens",
    impact="Everybody who joins a room shows a token that we made.",
)
PUBLIC_URL: Final = Check(
    code="livekit_public_url",
    area=Area.LIVEKIT,
    name="Address for browsers",
    impact="Browsers and agents connect to LiveKit themselves, not through Switchboard.",
)
METRICS: Final = Check(
    code="livekit_metrics",
    area=Area.LIVEKIT,
    name="Metrics page",
    impact="Traffic, loss and load on the System page come from it.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How the dashboard is reached, which its LiveKit address must fit. None: not known."""

    dashboard_url: str | None
    publicly: bool  # it listens beyond this machine


async def examine(
    service: LiveKitService, target: LiveKitTarget, reach: Reach, *, now: Now
) -> tuple[Finding, ...]:
    """All of it; asks the server about five things and opens nothing there."""
    answers = await ask(service, target)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ASK_S)) as http:
        rest = await asyncio.gather(
            clocks(http, target, now=now),
            token(http, service, target),
            public_url(http, target, reach),
            metrics(target),
        )
    return (*answers, secret(target), *rest)


async def ask(service: LiveKitService, target: LiveKitTarget) -> tuple[Finding, ...]:
    """Whether it answers a call that needs our key, and how fast: two findings."""
    begun_s = time.perf_counter()
    try:
        await service.get_room_info(new_identity(DOCTOR_PREFIX))
    except NotFoundError:
        pass  # there is no such room: that is the answer
    except LiveKitRejectedError as exc:
        return (
            ANSWERS.ok(f"At {target.url}."),
            KEY.problem(exc.message, exc.hint or "Compare LIVEKIT_API_KEY with its keys."),
        )
    except SwitchboardError as exc:
        return (
            ANSWERS.problem(f"{exc.message} Asked at {target.url}.", exc.hint),
            KEY.unknown("The server does not answer."),
        )
    took_ms = (time.perf_counter() - begun_s) * 1000
    said = f"{target.url} answers in {took_ms:.0f} ms."
    slow = "Look at its load and the way there; every room is asked for over it."
    answers = ANSWERS.warning(said, slow) if took_ms > _SLOW_MS else ANSWERS.ok(said)
    return answers, KEY.ok(f"{target.api_key} may list rooms.")


def secret(target: LiveKitTarget) -> Finding:
    """Its length. The finding holds nothing else of it."""
    length = len(target.api_secret.get_secret_value())
    if length < _SECRET_CHARACTERS:
        return SECRET.warning(
            f"It has {length} characters; LiveKit asks for at least {_SECRET_CHARACTERS}.",
            "Give the server a new key pair, and Switchboard the same:",
            snippet="livekit-server generate-keys",
        )
    return SECRET.ok(f"At least {_SECRET_CHARACTERS} characters.")


async def clocks(http: aiohttp.ClientSession, target: LiveKitTarget, *, now: Now) -> Finding:
    """The `Date` of an answer against the middle of asking and hearing, in whole seconds."""
    asked_at = now()
    try:
        async with http.get(target.url) as response:
            header = response.headers.get("Date", "")
    except (aiohttp.ClientError, TimeoutError):
        return CLOCKS.unknown("The server does not answer.")
    middle = asked_at + (now() - asked_at) / 2
    try:
        there = parsedate_to_datetime(header)
    except ValueError:
        return CLOCKS.unknown("Its answer does not say what time it has.")
    return compare_clocks(here=middle, there=there)


def compare_clocks(*, here: datetime, there: datetime) -> Finding:
    """Two clocks read at one moment."""
    apart_s = (there - here).total_seconds()
    said = f"LiveKit's is {abs(apart_s):,.0f} s {'ahead' if apart_s > 0 else 'behind'}."
    fix = "Set both clocks, and let them be kept right (NTP)."
    if abs(apart_s) > _CLOCK_MOST_S:
        return CLOCKS.problem(said, fix)
    if abs(apart_s) > _CLOCK_FEW_S:
        return CLOCKS.warning(said, fix)
    return CLOCKS.ok("To within two seconds." if abs(apart_s) < 2 else said)


async def token(
    http: aiohttp.ClientSession, service: LiveKitService, target: LiveKitTarget
) -> Finding:
    """Mint one for a room that is not there, check its signature, and show it to the server.

    livekit-server's `/rtc/validate` checks a token as it would for a join and opens nothing
    (pkg/service/rtcservice.go@v1.13.5).
    """
    name = new_identity(DOCTOR_PREFIX)
    minted = service.generate_token(
        TokenRequest(
            identity=name, room=name, ttl=timedelta(seconds=30), grants=Grants(room_join=True)
        )
    )
    try:
        claims = jwt.decode(
            minted.token,
            target.api_secret.get_secret_value(),
            algorithms=["HS256"],
            issuer=target.api_key,
            options={"require": ["exp", "iss", "sub"]},
        )
    except jwt.PyJWTError as exc:
        return TOKEN.problem(
            f"A token that was just made does not verify ({type(exc).__name__}).",
            "Look at this machine's clock; else report it as a fault of Switchboard.",
        )
    if claims.get("video", {}).get("room") != name:
        return TOKEN.problem(
            "A token that was just made names another room.", "Report it as a fault."
        )
    try:
        headers = {"Authorization": f"Bearer {minted.token}"}
        async with http.get(f"{target.url}/rtc/validate", headers=headers) as response:
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        return TOKEN.unknown("One was made and verified; the server does not answer.")
    if status == 401:
        return TOKEN.problem(
            "LiveKit does not accept a token that was just made.",
            "Compare LIVEKIT_API_KEY and LIVEKIT_API_SECRET with the server's keys, and the "
            "clocks of both.",
        )
    if status == 404:  # no such room, and room.auto_create is off
        return TOKEN.ok("LiveKit accepts one; rooms must be made before somebody joins them.")
    if status != 200:
        return TOKEN.unknown(f"LiveKit answered the question with status {status}.")
    return TOKEN.ok("LiveKit accepts one that was just made.")


async def public_url(http: aiohttp.ClientSession, target: LiveKitTarget, reach: Reach) -> Finding:
    """Whether the address that browsers are given can work for them, and answers us."""
    if (finding := judge_public_url(target, reach)) is not None:
        return finding
    if http_form(target.public_url) != target.url:
        try:
            async with http.get(http_form(target.public_url)) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return PUBLIC_URL.warning(
                f"{target.public_url} does not answer from here.",
                "If it does not from a browser either, correct LIVEKIT_PUBLIC_URL, or open the "
                "firewall.",
            )
    return PUBLIC_URL.ok(f"{target.public_url} fits how the dashboard is reached.")


def judge_public_url(target: LiveKitTarget, reach: Reach) -> Finding | None:
    """What is wrong with the address by itself; None where nothing is."""
    public, page = urlsplit(target.public_url), urlsplit(reach.dashboard_url or "")
    to_ourselves = (public.hostname or "") in LOOPBACK
    from_elsewhere = reach.publicly or (page.hostname or "localhost") not in LOOPBACK
    if to_ourselves and from_elsewhere:
        fix = "Set LIVEKIT_PUBLIC_URL to the address under which others reach LiveKit."
        if target.embedded:
            fix = (
                "The embedded server serves this machine alone. Run a livekit-server of your "
                "own for others, and set LIVEKIT_URL with its key and secret."
            )
        return PUBLIC_URL.problem(
            f"Other machines use the dashboard, and browsers get {target.public_url}: each "
            "would look for LiveKit on its own machine.",
            fix,
        )
    if to_ourselves or public.scheme == "wss":
        return None
    if page.scheme == "https":
        return PUBLIC_URL.problem(
            f"The dashboard is https and {target.public_url} is not encrypted: browsers block it.",
            "Put TLS before LiveKit and set LIVEKIT_PUBLIC_URL to wss://…",
        )
    return PUBLIC_URL.warning(
        f"{target.public_url} is not encrypted, and neither are the tokens sent to it.",
        "Put TLS before LiveKit and set LIVEKIT_PUBLIC_URL to wss://…",
    )


async def metrics(target: LiveKitTarget) -> Finding:
    """Whether livekit-server's Prometheus page can be read."""
    if target.metrics_url is None:
        return METRICS.unknown(
            "No address of it is set.",
            "Switch it on in livekit-server's configuration and set "
            "SWITCHBOARD_LIVEKIT_METRICS_URL.",
            snippet="prometheus:\n  port: 6789",
        )
    try:
        found = await read_server_metrics(target.metrics_url, timeout_s=_ASK_S)
    except LiveKitUnavailableError as exc:
        return METRICS.warning(exc.message, exc.hint)
    return METRICS.ok(f"It can be read; rooms: {found.rooms:,}, people: {found.participants:,}.")
