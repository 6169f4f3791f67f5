"""Every error that reaches a user or an API client, in one tree.

SwitchboardError
├── InvalidInputError 422        the client can correct it; `field` names what
│   └── TooLargeError 413
├── PermissionDeniedError 403
│   ├── BadSignatureError 401
│   └── UnauthenticatedError 401
├── RateLimitedError 429         retryable, later
├── NotFoundError 404
├── ConflictError 409
├── ConfigError              stops the start with one sentence
└── UnavailableError 503     retryable
    ├── LiveKitUnavailableError
    │   └── LiveKitTimeoutError
    ├── StoreUnavailableError
    │   └── StoreRejectedError 422, not retryable
    ├── StreamGapError
    └── RuntimeClosedError
LiveKitRejectedError 502      LiveKit answered, and said no
"""

from __future__ import annotations

from typing import ClassVar


class SwitchboardError(Exception):
    """What happened (`message`), and what to do next (`hint`); both are shown to users."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, message: str, *, hint: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInputError(SwitchboardError):
    """A value that cannot be used. `field` names it, as the caller wrote it."""

    code, http_status, title = "invalid_argument", 422, "Invalid input"


class TooLargeError(InvalidInputError):
    """More bytes than a limit allows."""

    code, http_status, title = "too_large", 413, "Too large"


class PermissionDeniedError(SwitchboardError):
    """The caller may not do this."""

    code, http_status, title = "permission_denied", 403, "Not allowed"


class BadSignatureError(PermissionDeniedError):
    """A signature is missing, wrong or out of date."""

    code, http_status, title = "bad_signature", 401, "Invalid signature"


class UnauthenticatedError(PermissionDeniedError):
    """Nobody knows who asks: no key, no cookie, or one that does not hold."""

    code, http_status, title = "unauthenticated", 401, "Sign-in required"


class RateLimitedError(SwitchboardError):
    """More requests than this caller may make in that time."""

    code, http_status, retryable, title = "rate_limited", 429, True, "Too many requests"


class NotFoundError(SwitchboardError):
    """No such thing, or no longer."""

    code, http_status, title = "not_found", 404, "Not found"


class ConflictError(SwitchboardError):
    """The name is taken, or the thing is not in a state that allows this."""

    code, http_status, title = "conflict", 409, "Conflict"


class ConfigError(SwitchboardError):
    """A setting that cannot work. The start stops with this one sentence."""

    code, title = "config", "Invalid setting"


class UnavailableError(SwitchboardError):
    """Something that we depend on is away. Trying again may help."""

    code, http_status, retryable, title = "unavailable", 503, True, "Unavailable"


class LiveKitUnavailableError(UnavailableError):
    """LiveKit cannot be reached."""

    code, title = "livekit_unavailable", "LiveKit is not reachable"


class LiveKitTimeoutError(LiveKitUnavailableError):
    """LiveKit did not answer in time. A write may have happened all the same."""

    code, title = "livekit_timeout", "LiveKit did not answer in time"


class LiveKitRejectedError(SwitchboardError):
    """LiveKit answered and refused; `livekit_code` is its own word for it."""

    code, http_status, title = "livekit_rejected", 502, "LiveKit rejected the request"

    def __init__(self, message: str, *, hint: str = "", livekit_code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.livekit_code = livekit_code


class StoreUnavailableError(UnavailableError):
    """The database does not answer."""

    code, title = "store_unavailable", "The database is unavailable"


class StoreRejectedError(StoreUnavailableError):
    """The database answers, and will never take this."""

    code, http_status, retryable = "store_rejected", 422, False
    title = "The database rejected the change"


class StreamGapError(UnavailableError):
    """An agent's events do not follow on what is committed: it sends again from there."""

    code, title = "stream_gap", "Events are missing"


class RuntimeClosedError(UnavailableError):
    """The shared event loop is closed or could not start."""

    code, title = "runtime_closed", "Switchboard is stopping"
