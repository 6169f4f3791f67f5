"""What stands before every action: may this caller do it? And after it: it is written down.

`guarded` is put on each method of a service by which somebody acts. What a permitted action does
in turn needs no permission of its own, and belongs to it in the audit log.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from services.access.audit_log import AuditLog
from services.access.permissions import Caller, Permission
from services.errors import SwitchboardError

P = ParamSpec("P")
T = TypeVar("T")


class Audited(Protocol):
    """A service whose actions are written down."""

    @property
    def audit(self) -> AuditLog: ...


S = TypeVar("S", bound=Audited)

ACTIONS: Final[dict[str, Permission]] = {}
"""Every guarded action, as `Service.method`, with the right that it takes."""


@dataclass(slots=True)
class _Draft:
    target: str
    facts: dict[str, Any] = field(default_factory=dict)


_under_way: ContextVar[_Draft | None] = ContextVar("switchboard_action", default=None)


def guarded(
    right: Permission, *, target: str | None = None, written: bool = True
) -> Callable[
    [Callable[Concatenate[S, P], Awaitable[T]]], Callable[Concatenate[S, P], Awaitable[T]]
]:
    """Let only callers with `right` through, and write down who did what, and how it ended.

    The method takes the caller as `actor`. `target` is the parameter that names what is acted on.
    `written=False`: it only reads, and is not written down.
    """

    def decorate(
        method: Callable[Concatenate[S, P], Awaitable[T]],
    ) -> Callable[Concatenate[S, P], Awaitable[T]]:
        name = method.__qualname__
        ACTIONS[name] = right
        place = list(inspect.signature(method).parameters).index(target) - 1 if target else -1

        @functools.wraps(method)
        async def checked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            actor = kwargs["actor"]
            if not isinstance(actor, Caller):
                raise TypeError(f"{name} takes a Caller as its actor")
            if actor.via == "ours" or _under_way.get() is not None:
                return await method(self, *args, **kwargs)
            if not written:
                actor.check(right)
                return await method(self, *args, **kwargs)
            audit = self.audit
            audit.check_open()
            on = args[place] if 0 <= place < len(args) else kwargs.get(target or "")
            draft = _Draft(_named(on))
            token = _under_way.set(draft)
            outcome = "failed"
            try:
                actor.check(right)
                answer = await method(self, *args, **kwargs)
                outcome = "done"
            except SwitchboardError as exc:
                outcome = exc.code
                raise
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            finally:
                _under_way.reset(token)
                audit.write(actor, name, target=draft.target, outcome=outcome, facts=draft.facts)
            return answer

        return checked

    return decorate


def note(*, target: str | None = None, **facts: Any) -> None:
    """Add to what is written down of the action under way; `before` and `after` are the usual."""
    draft = _under_way.get()
    if draft is None:
        return
    draft.facts.update(facts)
    if target is not None:
        draft.target = target


def _named(value: Any) -> str:
    """The target in words: a name, or how many and the first of them."""
    if isinstance(value, tuple | list):
        first = ", ".join(str(one) for one in value[:20])
        return f"{first} … ({len(value)})" if len(value) > 20 else first
    return "" if value is None else str(value)
