"""Who is there: by a password of ours, by a proxy that we trust, by OIDC, or nobody asked.

With passwords, a cookie signed with a key in the data folder says who signed in. A role is looked
up anew each time, so that what changes in the file of people counts at once.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

import jwt
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from services.access.permissions import Caller, Role
from services.access.users import People
from services.clock import Now
from services.errors import (
    BadSignatureError,
    ConfigError,
    PermissionDeniedError,
    RateLimitedError,
    UnauthenticatedError,
)
from services.settings import Settings

COOKIE: Final = "switchboard_sign_in"
PROXY_SECRET_HEADER: Final = "x-switchboard-proxy-secret"  # noqa: S105 - a header's name
_AUDIENCE: Final = "switchboard-sign-in"
_PASS_AUDIENCE: Final = "switchboard-pass"  # noqa: S105 - a kind of token
PASS_LASTS: Final = timedelta(hours=12)
_TRIES_OF_A_NAME: Final = parse("5/5minutes")
_TRIES_OF_AN_ADDRESS: Final = parse("30/5minutes")

Login = Literal["none", "password", "proxy", "oidc"]


class SignIn:
    """Says who calls. Safe on any thread but for `with_password`, which is for the loop."""

    def __init__(self, settings: Settings, people: People, *, now: Now) -> None:
        self.login: Login = settings.switchboard_auth_mode
        self.lasts = timedelta(hours=settings.switchboard_auth_session_ttl_hours)
        self.people = people
        self._now = now
        self._user_header = settings.switchboard_proxy_user_header.lower()
        self._groups_header = settings.switchboard_proxy_groups_header.lower()
        self._proxy_secret = settings.switchboard_proxy_secret.get_secret_value()
        self._key = _key_in(settings.switchboard_data_dir)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    # -- passwords

    async def with_password(self, name: str, password: str, *, address: str) -> str:
        """A cookie's value for who knows the password.

        Raises:
            UnauthenticatedError: name or password is wrong; it does not say which.
            RateLimitedError: too many tries of this name or from this address.
        """
        name = name.strip()[:200]
        for limit, what in ((_TRIES_OF_A_NAME, f"name:{name}"), (_TRIES_OF_AN_ADDRESS, address)):
            if not self._limiter.hit(limit, "sign-in", what):
                raise RateLimitedError("Too many attempts.", hint="Try again in five minutes.")
        # beside the loop: the hash is meant to take its time
        if not await asyncio.to_thread(self.people.verified, name, password[:1024]):
            raise UnauthenticatedError("Wrong name or password.", hint="Try again.")
        self._limiter.clear(_TRIES_OF_A_NAME, "sign-in", f"name:{name}")
        claims = {
            "aud": _AUDIENCE,
            "sub": name,
            "exp": self._now() + self.lasts,
            "stamp": self.people.stamp(name),
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def by_cookie(self, cookie: str, *, via: Literal["page", "api"], address: str = "") -> Caller:
        """Who signed in with a password.

        Raises:
            UnauthenticatedError: the cookie is missing, not ours, over, or from before a change of
                the password.
        """
        claims = self._claims(cookie, _AUDIENCE)
        name = str(claims["sub"])
        stamp = self.people.stamp(name)
        if stamp is None or not hmac.compare_digest(stamp, str(claims.get("stamp"))):
            raise _not_signed_in()
        return self._person(name, (), via, address)

    # -- a proxy in front of us

    def trusts(self, headers: Mapping[str, str]) -> bool:
        """Whether these come from the proxy: only it knows the secret. Names in lower case."""
        told = headers.get(PROXY_SECRET_HEADER, "")
        return bool(self._proxy_secret) and hmac.compare_digest(
            told.encode(), self._proxy_secret.encode()
        )

    def by_proxy(
        self, headers: Mapping[str, str], *, via: Literal["page", "api"], address: str = ""
    ) -> Caller:
        """Whom the proxy names. Header names in lower case.

        Raises:
            UnauthenticatedError: it is not the proxy, or it names nobody.
            PermissionDeniedError: nobody gave this person a role.
        """
        name = headers.get(self._user_header, "").strip()
        if not self.trusts(headers) or not name:
            raise UnauthenticatedError(
                "The proxy did not send your user name.",
                hint="Open the dashboard at the proxy's address and sign in there.",
            )
        groups = [group.strip() for group in headers.get(self._groups_header, "").split(",")]
        return self._person(name, groups, via, address)

    def identity_headers(self) -> frozenset[str]:
        """The headers that nobody but the proxy may send, in lower case."""
        return frozenset({self._user_header, self._groups_header, PROXY_SECRET_HEADER})

    # -- OIDC, which Streamlit does

    def by_claims(self, name: str, groups: Collection[str], *, address: str = "") -> Caller:
        """Whom the identity provider named. Raises PermissionDeniedError: nobody gave them a role."""
        return self._person(name, groups, "page", address)

    # -- nobody is asked

    def anybody(self, *, via: Literal["page", "api"], address: str = "") -> Caller:
        """Who sits at this machine, where there is no login; may do everything.

        Raises:
            UnauthenticatedError: there is a login.
        """
        if self.login != "none":
            raise _not_signed_in()
        name = "operator" if via == "page" else "api"
        return Caller(name=name, via=via, role=Role.ADMIN, address=address)

    # -- passes: what a page lets its browser fetch, where `/api` cannot know who it is

    def pass_for(self, caller: Caller, path: str) -> str:
        """A pass by which this person's browser may ask for that path, and for what is below it.

        Good for twelve hours or a little more: it stays the same for an hour, so that what holds
        it need not be drawn anew.
        """
        hour = self._now().replace(minute=0, second=0, microsecond=0)
        claims = {
            "aud": _PASS_AUDIENCE,
            "sub": caller.name,
            "role": caller.role,
            "path": path,
            "exp": hour + PASS_LASTS + timedelta(hours=1),
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def by_pass(self, given: str, path: str, *, address: str = "") -> Caller:
        """Whom it was made for. Raises BadSignatureError: not ours, over, or for other paths."""
        try:
            claims = self._claims(given, _PASS_AUDIENCE)
            allowed = str(claims["path"])
            if path != allowed and not path.startswith(f"{allowed}/"):
                raise _not_signed_in()
            return Caller(
                name=str(claims["sub"]), via="page", role=Role(str(claims["role"])), address=address
            )
        except (UnauthenticatedError, KeyError, ValueError):
            raise BadSignatureError(
                "This pass has expired or is for another path.", hint="Reload the page."
            ) from None

    # -- inside

    def _claims(self, token: str, audience: str) -> dict[str, object]:
        try:
            claims: dict[str, object] = jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                audience=audience,
                options={"require": ["exp", "sub"], "verify_exp": False},
            )
        except jwt.PyJWTError:
            raise _not_signed_in() from None
        expires_at = claims["exp"]
        if not isinstance(expires_at, int | float) or expires_at < self._now().timestamp():
            raise _not_signed_in()
        return claims

    def _person(
        self, name: str, groups: Collection[str], via: Literal["page", "api"], address: str
    ) -> Caller:
        role = self.people.role_of(name, groups)
        if role is None:
            raise PermissionDeniedError(
                f"You are signed in as {name}, but you have no role.",
                hint="Ask an admin to add you to the users file.",
            )
        return Caller(name=name, via=via, role=role, address=address)


def _not_signed_in() -> UnauthenticatedError:
    return UnauthenticatedError("You are not signed in.", hint="Sign in, then try again.")


def _key_in(folder: Path) -> str:
    """The key that signs; made at the first start, readable by its owner alone.

    Raises:
        ConfigError: the data folder cannot be used.
    """
    path = folder / "sign-in.key"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.is_file():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
        key = path.read_text(encoding="ascii").strip()
    except OSError as exc:
        raise ConfigError(
            f"Cannot use the file {path} ({exc.strerror}).",
            hint="Set SWITCHBOARD_DATA_DIR to another folder, or fix the file's permissions.",
        ) from None
    if len(key) < 64:
        raise ConfigError(
            f"The file {path} is damaged.", hint="Delete it. Users then have to sign in again."
        )
    return key
