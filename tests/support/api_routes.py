"""Every route of the API with the rights that it takes, read from the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import BaseRoute

from api.app import create_api
from api.callers import May
from services.access.permissions import Permission

_VALUES = {
    "{session_id}": "ses_" + 32 * "0",
    "{interrupt_id}": "none",
    "{note_id}": "note_1",
    "{event_id}": "evt_1",
    "{name:path}": "no-such-room",
}


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One method of one path. `path` names nothing that is there."""

    method: str
    path: str
    rights: frozenset[Permission]


def api_routes() -> list[ApiRoute]:
    """All of them, but for the documentation's own."""
    found = []
    for route in _flat(create_api().routes):
        if isinstance(route, APIRoute) and not route.path.startswith("/docs"):
            rights = frozenset(_rights(route.dependant))
            found += [
                ApiRoute(method, _filled(route.path), rights)
                for method in sorted(route.methods or ())
            ]
        elif isinstance(route, APIWebSocketRoute):
            found.append(ApiRoute("WEBSOCKET", _filled(route.path), frozenset()))
    return found


def _flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """FastAPI keeps an included router as one route."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from _flat(inner.routes)


def _rights(dependant: Dependant) -> Iterator[Permission]:
    for one in dependant.dependencies:
        if isinstance(one.call, May):
            yield one.call.right
        yield from _rights(one)


def _filled(path: str) -> str:
    for name, value in _VALUES.items():
        path = path.replace(name, value)
    assert "{" not in path, path
    return path
