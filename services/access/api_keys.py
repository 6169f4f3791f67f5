"""API keys: shown once, kept as a hash, with scopes, an end, and when each was used last."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from services.access.audit_log import AuditLog
from services.access.authorization import guarded, note
from services.access.permissions import Caller, Permission, Scope
from services.clock import Now, rfc3339
from services.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    StoreUnavailableError,
    UnauthenticatedError,
)
from services.ids import new_key_id
from services.store.access_store import AccessStore
from services.store.audit_records import ApiKeyRecord

log = logging.getLogger(__name__)

PREFIX: Final = "swb_"
NAME_MOST: Final = 80
LONGEST: Final = timedelta(days=365)
MOST: Final = 200
_LOOK_S: Final = 5.0  # so long may another dashboard's revocation take to count here
_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


class ApiKeys:
    """Makes, checks and revokes keys. `check` needs no call: the keys are held in memory."""

    def __init__(self, store: AccessStore, audit: AuditLog, *, now: Now) -> None:
        self._store = store
        self.audit = audit
        self._now = now
        self._by_hash: dict[str, ApiKeyRecord] = {}
        self._lent: dict[str, Caller] = {}
        self._used: dict[str, datetime] = {}

    @guarded(Permission.KEYS, written=False)
    async def all(self, *, actor: Caller) -> tuple[ApiKeyRecord, ...]:
        """Every key there ever was, newest first, with its last use. Raises PermissionDeniedError."""
        await self._look()
        return await self._store.keys()

    @guarded(Permission.KEYS, target="name")
    async def make(
        self,
        name: str,
        scopes: Collection[Scope],
        *,
        lasts: timedelta | None,
        actor: Caller,
    ) -> tuple[ApiKeyRecord, str]:
        """A new key, and its secret, which is not to be had again. `lasts` None: no end.

        Raises:
            InvalidInputError: no name, no scope, or more than a year.
            ConflictError: there are too many already.
        """
        name = " ".join(name.split())
        if not 0 < len(name) <= NAME_MOST:
            raise InvalidInputError(
                f"An API key name must have 1 to {NAME_MOST} characters.",
                hint="Enter the name of the program that uses the key.",
                field="name",
            )
        if not scopes:
            raise InvalidInputError(
                "An API key needs at least one scope.", hint="Choose a scope.", field="scopes"
            )
        if lasts is not None and not timedelta(0) < lasts <= LONGEST:
            raise InvalidInputError(
                "An API key expires after one year at most.",
                hint="Choose a shorter time, or no expiry.",
                field="lasts",
            )
        there = await self._store.keys()
        if sum(key.revoked_at is None for key in there) >= MOST:
            raise ConflictError(
                f"The limit of {MOST} API keys is reached.", hint="Revoke a key first."
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        now = self._now()
        key = ApiKeyRecord(
            id=new_key_id(),
            name=name,
            scopes=tuple(sorted(scopes)),
            secret_sha256=_hash(secret),
            made_by=actor.name,
            made_at=now,
            expires_at=None if lasts is None else now + lasts,
        )
        note(
            target=f"{name} ({key.id})",
            after={
                "scopes": list(key.scopes),
                "expires_at": rfc3339(key.expires_at) if key.expires_at else None,
            },
        )
        await self._store.add_key(key)
        self._by_hash[key.secret_sha256] = key
        return key, secret

    @guarded(Permission.KEYS, target="key_id")
    async def revoke(self, key_id: str, *, actor: Caller) -> None:
        """End a key at once, here; within seconds at other dashboards of the same database.

        Raises:
            NotFoundError: there is none of this id that still holds.
        """
        for held, key in list(self._by_hash.items()):
            if key.id == key_id:
                note(target=f"{key.name} ({key.id})")
                del self._by_hash[held]
        if not await self._store.revoke_key(key_id, self._now()):
            raise NotFoundError("API key not found.", hint="It may already be revoked.")

    def check(self, secret: str, *, address: str = "") -> Caller:
        """The program that holds this key.

        Raises:
            UnauthenticatedError: it is no key of ours, was revoked, or is over.
        """
        if (caller := self._lent.get(_hash(secret))) is not None:
            return caller
        key = self._by_hash.get(_hash(secret)) if _FORM.fullmatch(secret) else None
        now = self._now()
        if key is None or (key.expires_at is not None and key.expires_at <= now):
            raise UnauthenticatedError(
                "Invalid API key.",
                hint="It is mistyped, revoked or expired. An admin can create a new one on the Access page.",
            )
        self._used[key.id] = now
        return Caller(
            name=key.name,
            via="key",
            scopes=frozenset(Scope(scope) for scope in key.scopes),
            address=address,
        )

    @contextmanager
    def lent(self, caller: Caller) -> Iterator[str]:
        """A key by which this process calls its own API for that person, for as long as it lasts."""
        secret = PREFIX + secrets.token_urlsafe(32)
        self._lent[_hash(secret)] = caller
        try:
            yield secret
        finally:
            del self._lent[_hash(secret)]

    async def open(self) -> None:
        """Read the keys for the first time. Raises StoreUnavailableError."""
        await self._look()

    async def run(self) -> None:
        """See what other dashboards changed, and write down what was used, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self._look()
            except StoreUnavailableError as exc:
                log.warning("the API keys were not read", extra={"error": exc.code})

    async def _look(self) -> None:
        if self._used:
            used, self._used = self._used, {}
            await self._store.keys_used(used)
        keys = await self._store.keys()
        self._by_hash = {key.secret_sha256: key for key in keys if key.revoked_at is None}


def _hash(secret: str) -> str:
    """A plain hash does for what was drawn from 256 random bits: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()
