"""Who may do what: the table, read from the code. What has no rule fails here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import services
from api.callers import is_open
from services.access.authorization import ACTIONS
from services.access.permissions import RULES, SYSTEM_PRINCIPAL, Caller, Permission, Role, Scope
from services.errors import PermissionDeniedError
from tests.support.api_routes import api_routes

ORDER = list(Role)


def _service_methods() -> Iterator[tuple[str, object]]:
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith("__main__") or ".migrations" in module.name:
            continue
        loaded = importlib.import_module(module.name)
        for cls in vars(loaded).values():
            if inspect.isclass(cls) and cls.__module__ == module.name:
                for method in vars(cls).values():
                    if inspect.isfunction(method):
                        yield method.__qualname__, method


def test_every_service_method_by_which_somebody_acts_is_guarded() -> None:
    acting = {
        name
        for name, method in _service_methods()
        if not name.split(".")[-1].startswith("_")
        and "actor" in inspect.signature(method).parameters  # type: ignore[arg-type]
    }
    acting.discard("AuditLog.write")  # what the guard itself calls
    assert len(acting) > 25
    assert acting == set(ACTIONS)


def test_every_right_has_a_rule() -> None:
    assert set(RULES) == set(Permission)


def test_every_route_takes_a_right_or_has_a_guard_of_its_own() -> None:
    routes = api_routes()
    assert len(routes) > 25
    for route in routes:
        assert bool(route.rights) is not is_open(route.path), route


def test_the_documentation_is_for_those_who_are_known() -> None:
    assert not any(is_open(path) for path in ("/docs", "/openapi.json", "/static-offline-docs/x"))


@pytest.mark.parametrize("right", list(Permission))
@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_those_before_it_may(role: Role, right: Permission) -> None:
    caller = Caller(name="ana", via="page", role=role)
    allowed = ORDER.index(role) >= ORDER.index(RULES[right].role)
    assert caller.may(right) is allowed
    if not allowed:
        with pytest.raises(
            PermissionDeniedError, match=rf"requires the role “{RULES[right].role}”"
        ):
            caller.check(right)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_may_only_what_its_scopes_name(scope: Scope) -> None:
    caller = Caller(name="crm", via="key", scopes=frozenset({scope}))
    assert {right for right in Permission if caller.may(right)} == {
        right for right, rule in RULES.items() if rule.scope is scope
    }


def test_nobody_may_anything_and_we_ourselves_everything() -> None:
    nobody = Caller(name="", via="key")
    assert not any(nobody.may(right) for right in Permission)
    assert all(SYSTEM_PRINCIPAL.may(right) for right in Permission)
