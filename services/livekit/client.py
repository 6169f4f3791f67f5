"""The connection to LiveKit: every call under a deadline, reads tried twice, errors made ours.

livekit-api 1.2.2 passes `timeout=None` to aiohttp (no limit at all) and retries nothing on
self-hosted servers, so both are done here: reads are tried twice inside one deadline, writes
once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeVar

import aiohttp
import stamina
from google.protobuf.message import DecodeError
from livekit import api

from services.errors import (
    ConflictError,
    InvalidInputError,
    LiveKitRejectedError,
    LiveKitTimeoutError,
    LiveKitUnavailableError,
    NotFoundError,
    SwitchboardError,
    UnavailableError,
)
from services.livekit.target import LiveKitTarget

_RETRY_WAIT_S: Final = 0.05
_SIGNED_S: Final = 600
_NAMES_NO_ROOM: Final = frozenset({"CreateRoom", "DeleteRoom", "ListRooms"})
"""Their rights name no room, so one token signed ahead serves them all: 0.2 ms less for each."""

T = TypeVar("T")
Reason = Callable[[], UnavailableError | None]
"""Why LiveKit cannot be asked now (the embedded server is being built, say), or None."""


class LiveKitClient:
    """One connection for the whole process, opened inside the running loop at the first call."""

    def __init__(
        self,
        target: LiveKitTarget,
        *,
        timeout_s: float = 5.0,
        unavailable: Reason = lambda: None,
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._unavailable = unavailable
        self._http: aiohttp.ClientSession | None = None
        self._api: api.LiveKitAPI | None = None
        self._ahead: api.LiveKitAPI | None = None
        self._signed_at_s = 0.0  # by the wall clock, as the token's own times are
        self._closed = False
        self.calls = 0  # asked of LiveKit since the start; the bench reads it

    async def close(self) -> None:
        """Release the connections. May be called again; calls after it raise."""
        self._closed = True
        self._api = self._ahead = None
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def _get_api(self, call: str) -> api.LiveKitAPI:
        if self._closed:
            raise LiveKitUnavailableError("The LiveKit client is closed.")
        if self._http is None:  # needs a running loop, so not in __init__
            self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        target, secret = self._target, self._target.api_secret.get_secret_value()
        if call not in _NAMES_NO_ROOM:
            if self._api is None:
                self._api = api.LiveKitAPI(target.url, target.api_key, secret, session=self._http)
            return self._api
        now_s = time.time()
        if self._ahead is None or not 0 <= now_s - self._signed_at_s < _SIGNED_S / 2:
            grants = api.VideoGrants(room_create=True, room_list=True)
            token = api.AccessToken(target.api_key, secret).with_grants(grants)
            signed = token.with_ttl(timedelta(seconds=_SIGNED_S)).to_jwt()
            self._ahead = api.LiveKitAPI.with_token(signed, target.url, session=self._http)
            self._signed_at_s = now_s
        return self._ahead

    async def _write(self, call: str, ask: Callable[[api.LiveKitAPI], Awaitable[T]]) -> T:
        async with self._deadline(call):
            self.calls += 1
            return await ask(self._get_api(call))

    async def _read(self, call: str, ask: Callable[[api.LiveKitAPI], Awaitable[T]]) -> T:
        async with self._deadline(call):
            async for attempt in stamina.retry_context(
                on=_worth_another_try,
                attempts=2,
                wait_initial=_RETRY_WAIT_S,
                wait_jitter=_RETRY_WAIT_S,
                timeout=None,
            ):
                with attempt:
                    self.calls += 1
                    return await ask(self._get_api(call))
        raise AssertionError("retry_context gives an attempt or raises")

    @asynccontextmanager
    async def _deadline(self, call: str) -> AsyncIterator[None]:
        if (reason := self._unavailable()) is not None:
            raise reason
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError as exc:
            raise LiveKitTimeoutError(
                f"LiveKit did not answer {call} within {self._timeout_s:g} s.",
                hint="It may be overloaded or unreachable. See the System page.",
            ) from exc
        except aiohttp.ClientError as exc:
            raise LiveKitUnavailableError(
                f"Cannot reach LiveKit for {call} ({type(exc).__name__}).",
                hint="Check that LiveKit runs and that LIVEKIT_URL is correct. See the System page.",
            ) from exc
        except api.ServerError as exc:
            raise translate(exc, call) from exc
        except DecodeError as exc:
            raise LiveKitRejectedError(
                f"The server that answered {call} is not LiveKit.",
                hint="Check LIVEKIT_URL: it may point to another program's port.",
            ) from exc


def _worth_another_try(exc: Exception) -> bool:
    """A lost connection. Where LiveKit says "unavailable", it has waited three seconds itself."""
    return isinstance(exc, aiohttp.ClientConnectionError)


def translate(exc: api.ServerError, call: str) -> SwitchboardError:
    """Our error for one of LiveKit's (codes: twitchtv/twirp errors.go@v8.1.3)."""
    said = f"LiveKit answered {call}: {exc.message or exc.code}."
    code = exc.code
    if code == "unknown" and exc.status in {401, 403}:  # 1.13.5 refuses a key without twirp's JSON
        code = "unauthenticated"
    match code:
        case "not_found":
            return NotFoundError(said, hint="It may have just ended.")
        case "already_exists":
            return ConflictError(said)
        case "invalid_argument" | "malformed" | "out_of_range":
            return InvalidInputError(said, hint="Correct the value and try again.")
        case "unauthenticated" | "permission_denied":
            return LiveKitRejectedError(
                f"LiveKit rejected the API key for {call}.",
                hint="Check LIVEKIT_API_KEY and LIVEKIT_API_SECRET against the server's keys.",
                livekit_code=code,
            )
        case "deadline_exceeded":
            return LiveKitTimeoutError(said)
        case "unavailable":
            return LiveKitUnavailableError(said, hint="Try again in a moment.")
        case _:
            return LiveKitRejectedError(
                said,
                hint="See LiveKit's log. For the embedded server, open System > Logs.",
                livekit_code=code,
            )
