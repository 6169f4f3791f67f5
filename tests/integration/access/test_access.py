"""Who may do what, over the real API: every route and role, and the ways to get round it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.access.api_keys import PREFIX
from services.access.authorization import ACTIONS
from services.access.permissions import RULES, Caller, Role, Scope
from services.access.sign_in import COOKIE
from services.access.users import put_person, remove_person
from services.errors import PermissionDeniedError, StoreUnavailableError, UnauthenticatedError
from services.runtime import Runtime
from services.store.audit_records import AuditQuery
from services.store.engine import database_url, make_engine
from services.store.store import open_store
from tests.integration.store.test_store import settings_for as store_settings
from tests.support.api_routes import ApiRoute, api_routes
from tests.support.api_server import ApiServer, open_api, settings_for
from tests.support.callers import person
from tests.support.livekit_server import LiveKitServer
from tests.support.secrets import assert_no_secrets_in_files
from tests.support.waiting import eventually

ORDER: Final = list(Role)
SECRET: Final = "a-secret-of-the-proxy-and-of-us"
PASSWORD: Final = "correct horse battery"
LOCAL: Final = {"origin": "http://localhost"}

Open = Callable[..., Any]


@pytest.fixture
def open_guarded(livekit_server: LiveKitServer, tmp_path: Path) -> Open:
    """The API with a login; people are named as their roles are."""
    people = tmp_path / "people.yaml"
    for role in Role:
        put_person(people, role.value, role, password=PASSWORD)

    @asynccontextmanager
    async def open_it(login: str, **given: Any) -> AsyncIterator[ApiServer]:
        settings = settings_for(
            livekit_server,
            tmp_path / "data",
            switchboard_auth_mode=login,
            switchboard_users_file=people,
            switchboard_proxy_secret=SecretStr(SECRET),
            **given,
        )
        async with open_api(settings) as server:
            yield server

    return open_it


@pytest_asyncio.fixture
async def proxied(open_guarded: Open) -> AsyncIterator[ApiServer]:
    """The API behind a proxy, which says who comes."""
    async with open_guarded("proxy") as server:
        yield server


def as_(name: str) -> dict[str, str]:
    """What the proxy sends for somebody."""
    return {"x-forwarded-user": name, "x-switchboard-proxy-secret": SECRET}


async def audited(server: ApiServer, **wanted: Any) -> list[tuple[str, str, str, str]]:
    """Who, what, on what, with which outcome; newest first."""
    reader, query = server.runtime.audit_reader, AuditQuery(**wanted)
    page = await server.runtime.acall(lambda: reader.page(query, actor=person()))
    return [(one.actor, one.action, one.target, one.outcome) for one in page.entries]


# -- every route, every action, every role


@pytest.mark.parametrize("role", ORDER)
async def test_each_route_lets_in_who_may_and_nobody_else(proxied: ApiServer, role: Role) -> None:
    guarded = [route for route in api_routes() if route.rights]
    for route in guarded:
        reply = await ask(proxied, route, as_(role.value))
        least = max(ORDER.index(RULES[right].role) for right in route.rights)
        denied = reply.status_code == 403 and reply.json()["code"] == "permission_denied"
        assert denied is (ORDER.index(role) < least), (route, reply.text)
        assert reply.status_code != 401, (route, reply.text)


async def test_each_route_refuses_whom_nobody_knows(proxied: ApiServer) -> None:
    for route in api_routes():
        if route.rights:
            reply = await ask(proxied, route, {})
            assert reply.status_code == 401, (route, reply.text)
            assert reply.json()["code"] == "unauthenticated"
    for path in ("docs", "openapi.json", "no-such-thing"):
        assert (await proxied.http.get(f"/api/{path}")).status_code == 401
    assert (await proxied.http.get("/api/health")).status_code == 200


async def ask(server: ApiServer, route: ApiRoute, headers: dict[str, str]) -> httpx.Response:
    body: dict[str, Any] | None = {} if route.method in {"POST", "PUT"} else None
    return await server.http.request(
        route.method, f"/api{route.path}", headers={**LOCAL, **headers}, json=body
    )


async def test_each_service_action_is_refused_to_who_may_not_and_written_down(
    proxied: ApiServer,
) -> None:
    services = acting_services(proxied.runtime)
    refused = 0
    for name, right in ACTIONS.items():
        owner, method = name.split(".")
        action = getattr(services[owner], method)
        for role in ORDER:
            if ORDER.index(role) >= ORDER.index(RULES[right].role):
                continue
            given = _anything(action, person(role.value, role))
            with pytest.raises(PermissionDeniedError):
                await proxied.runtime.acall(partial(action, **given))
            refused += 1
    assert refused > 40
    written = await audited(proxied, outcome="permission_denied")
    reads = {"ApiKeys.all", "AuditReader.page", "AuditReader.actions"}
    assert {action for _, action, _, _ in written} == {
        name for name, right in ACTIONS.items() if RULES[right].role is not Role.VIEWER
    } - reads


def acting_services(runtime: Runtime) -> dict[str, Any]:
    """Each service that has an action, by the name of its class."""
    system = runtime.system
    held = [*vars(runtime).values(), runtime.jobs.commands, system, system.doctor]
    return {type(one).__name__: one for one in held}


def _anything(action: Any, actor: Caller) -> dict[str, Any]:
    """Arguments that bind: the guard stands before all that looks at them."""
    import inspect

    parameters = inspect.signature(action).parameters.values()
    needed = {p.name: "x" for p in parameters if p.default is p.empty and p.name != "actor"}
    return {**needed, "actor": actor}


# -- the proxy


async def test_only_who_knows_the_secret_is_the_proxy(proxied: ApiServer) -> None:
    get = proxied.http.get
    assert (await get("/api/rooms", headers=as_("viewer"))).status_code == 200
    for headers in (
        {"x-forwarded-user": "admin"},
        {"x-forwarded-user": "admin", "x-switchboard-proxy-secret": ""},
        {"x-forwarded-user": "admin", "x-switchboard-proxy-secret": SECRET[:-1]},
        {"x-forwarded-user": "admin", "x-switchboard-proxy-secret": SECRET + "x"},
        {"x-switchboard-proxy-secret": SECRET},
        {"x-forwarded-user": "  ", "x-switchboard-proxy-secret": SECRET},
        {"cookie": f"{COOKIE}=admin", "x-forwarded-user": "admin"},
    ):
        assert (await get("/api/rooms", headers=headers)).status_code == 401, headers
    stranger = await get("/api/rooms", headers=as_("stranger"))
    assert (stranger.status_code, stranger.json()["code"]) == (403, "permission_denied")
    assert "but you have no role" in stranger.json()["detail"]


async def test_a_page_of_others_cannot_write_by_the_proxys_word(proxied: ApiServer) -> None:
    """CSRF: the browser of somebody signed in is made to send it."""
    reply = await proxied.http.delete(
        "/api/rooms/x", headers={**as_("operator"), "origin": "https://evil.example"}
    )
    assert (reply.status_code, reply.json()["code"]) == (403, "permission_denied")
    assert "may not write here" in reply.json()["detail"]


async def test_groups_give_roles_and_the_highest_counts(open_guarded: Open, tmp_path: Path) -> None:
    people = tmp_path / "people.yaml"
    async with open_guarded("proxy") as server:
        people.write_text("groups: {desk: operator, all: viewer}\neverybody: qa\n")
        headers = {**as_("ana"), "x-forwarded-groups": "all, desk"}
        ended = await server.http.delete("/api/rooms/none", headers={**LOCAL, **headers})
        assert ended.status_code == 404
        assert (await server.http.delete("/api/rooms/none", headers=as_("zoe"))).status_code == 403
        people.write_text("people: [not, a, mapping]\n")  # a slip of the pen lets nobody in
        slip = await server.http.get("/api/rooms", headers=as_("ana"))
        assert slip.status_code == 500
        assert "people" in slip.json()["detail"]


# -- passwords


async def sign_in(server: ApiServer, name: str, password: str, **more: str) -> httpx.Response:
    form = {"name": name, "password": password, **more}
    return await server.http.post("/api/sign-in", data=form, headers=LOCAL)


async def test_a_password_gives_a_cookie_that_names_the_person(open_guarded: Open) -> None:
    async with open_guarded("password") as server:
        assert (await server.http.get("/api/rooms")).status_code == 401
        wrong = await sign_in(server, "qa", "wrong horse battery")
        assert wrong.status_code == 401
        assert "Wrong name or password." in wrong.text
        assert COOKIE not in server.http.cookies
        right = await sign_in(server, "qa", PASSWORD, next="/session?id=ses_1")
        assert (right.status_code, right.headers["location"]) == (303, "/session?id=ses_1")
        said = right.headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=lax" in said
        assert (await server.http.get("/api/rooms")).status_code == 200
        assert (await server.http.delete("/api/rooms/x", headers=LOCAL)).status_code == 403
        await server.http.get("/api/sign-out")
        assert (await server.http.get("/api/rooms")).status_code == 401


async def test_a_cookie_of_ones_own_making_or_from_before_does_not_hold(
    open_guarded: Open, tmp_path: Path
) -> None:
    async with open_guarded("password") as server:
        await sign_in(server, "admin", PASSWORD)
        good = str(server.http.cookies[COOKIE])
        server.http.cookies.clear()
        claims = jwt.decode(good, options={"verify_signature": False})
        made_up = [
            jwt.encode(claims, "", algorithm="none"),
            jwt.encode(claims, "k" * 64, algorithm="HS256"),
            good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
            server.runtime.tickets.issue(("overview",)),
            server.runtime.sign_in.pass_for(person("admin"), "/rooms"),
            "",
        ]
        for cookie in made_up:
            reply = await server.http.get("/api/rooms", headers={"cookie": f"{COOKIE}={cookie}"})
            assert reply.status_code == 401, cookie
        with_good = {"cookie": f"{COOKIE}={good}"}
        assert (await server.http.get("/api/rooms", headers=with_good)).status_code == 200
        put_person(tmp_path / "people.yaml", "admin", Role.ADMIN, password="another password")
        assert (await server.http.get("/api/rooms", headers=with_good)).status_code == 401


async def test_a_person_who_is_removed_or_made_less_is_so_at_once(
    open_guarded: Open, tmp_path: Path
) -> None:
    people = tmp_path / "people.yaml"
    async with open_guarded("password") as server:
        await sign_in(server, "operator", PASSWORD)
        assert (await server.http.delete("/api/rooms/x", headers=LOCAL)).status_code == 404
        written = people.read_text().replace("role: operator", "role: viewer")
        people.write_text(written)
        assert (await server.http.delete("/api/rooms/x", headers=LOCAL)).status_code == 403
        remove_person(people, "operator")
        assert (await server.http.get("/api/rooms")).status_code == 401


async def test_before_anybody_was_added_nobody_is_let_in(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    settings = settings_for(livekit_server, tmp_path, switchboard_auth_mode="password")
    async with open_api(settings) as server:
        assert (await sign_in(server, "admin", PASSWORD)).status_code == 401
        put_person(settings.people_file, "admin", Role.ADMIN, password=PASSWORD)
        assert (await sign_in(server, "admin", PASSWORD)).status_code == 303
        settings.people_file.unlink()
        assert (await server.http.get("/api/rooms")).status_code == 401


async def test_guessing_is_slowed_down(open_guarded: Open) -> None:
    async with open_guarded("password") as server:
        tries = [await sign_in(server, "admin", f"guess number {n}") for n in range(6)]
        assert [one.status_code for one in tries] == [401] * 5 + [429]
        assert (await sign_in(server, "admin", PASSWORD)).status_code == 429  # the right one, too
        assert (await sign_in(server, "qa", PASSWORD)).status_code == 303  # others are not shut out


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example/", "/\\evil", "x", ""])
async def test_signing_in_leads_nowhere_else(open_guarded: Open, onward: str) -> None:
    async with open_guarded("password") as server:
        reply = await sign_in(server, "viewer", PASSWORD, next=onward)
        assert reply.headers["location"] == "/"


async def test_what_is_typed_into_the_form_is_text(open_guarded: Open) -> None:
    async with open_guarded("password") as server:
        reply = await sign_in(server, '"><script>alert(1)</script>', "no", next='/"><b>')
        assert "<script>" not in reply.text
        assert "<b>" not in reply.text
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


# -- API keys


async def make_key(server: ApiServer, *scopes: Scope, lasts: timedelta | None = None) -> str:
    keys = server.runtime.keys
    _, secret = await server.runtime.acall(
        lambda: keys.make("crm", scopes, lasts=lasts, actor=person("root"))
    )
    return secret


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def test_a_key_may_what_its_scopes_name_until_it_is_revoked(open_guarded: Open) -> None:
    async with open_guarded("oidc") as server:
        read = await make_key(server, Scope.READ)
        assert (await server.http.get("/api/rooms", headers=bearer(read))).status_code == 200
        denied = await server.http.delete("/api/rooms/x", headers=bearer(read))
        assert denied.status_code == 403
        assert "a key with the scope “rooms”" in denied.json()["hint"]
        keys = server.runtime.keys
        (kept,) = await server.runtime.acall(lambda: keys.all(actor=person()))
        assert kept.last_used_at is not None
        assert kept.secret_sha256 == hashlib.sha256(read.encode()).hexdigest()
        await server.runtime.acall(lambda: keys.revoke(kept.id, actor=person("root")))
        assert (await server.http.get("/api/rooms", headers=bearer(read))).status_code == 401
        assert await audited(server, actor="root") == [
            ("root", "ApiKeys.revoke", f"crm ({kept.id})", "done"),
            ("root", "ApiKeys.make", f"crm ({kept.id})", "done"),
        ]


async def test_keys_that_never_were_or_are_over_do_not_hold(open_guarded: Open) -> None:
    async with open_guarded("oidc") as server:
        over = await make_key(server, Scope.READ, lasts=timedelta(microseconds=1))
        guesses = [over, PREFIX, PREFIX + "A" * 43, "swb", "x" * 5000, "'; DROP TABLE api_keys;--"]
        for secret in guesses:
            reply = await server.http.get("/api/rooms", headers=bearer(secret))
            assert reply.status_code == 401, secret
            assert reply.headers["www-authenticate"] == "Bearer"
        assert (await server.http.get("/api/rooms")).json()["detail"] == "This takes an API key."


async def test_a_session_is_made_with_a_key_and_named_after_its_program(
    open_guarded: Open, tmp_path: Path
) -> None:
    body = {"user_id": "nate", "agent_id": "pm-agent", "session_duration_hours": 1}
    async with open_guarded("password") as server:
        secret = await make_key(server, Scope.SESSIONS)
        made = await server.http.post("/api/voice/session", json=body, headers=bearer(secret))
        assert made.status_code == 201, made.text
        unknown = await server.http.post("/api/voice/session", json=body)
        assert unknown.status_code == 401
        keyed = {**bearer(secret), "idempotency-key": "one"}
        first = await server.http.post("/api/voice/session", json=body, headers=keyed)
        other = {**bearer(await make_key(server, Scope.SESSIONS)), "idempotency-key": "one"}
        again = await server.http.post("/api/voice/session", json=body, headers=other)
        assert first.json()["session_id"] == again.json()["session_id"]  # of the same name
        session_id = made.json()["session_id"]
        assert ("crm", "Sessions.create", session_id, "done") in await audited(server, actor="crm")
        assert_no_secrets_in_files(tmp_path / "data", secret)


async def test_another_dashboards_revocation_counts_within_seconds(
    open_guarded: Open, tmp_path: Path
) -> None:
    async with open_guarded("oidc") as server:
        secret = await make_key(server, Scope.READ)
        (kept,) = await server.runtime.acall(lambda: server.runtime.keys.all(actor=person()))
        store = server.runtime.store
        await server.runtime.acall(lambda: store.access.revoke_key(kept.id, datetime.now(UTC)))

        async def refused() -> bool:
            reply = await server.http.get("/api/rooms", headers=bearer(secret))
            return bool(reply.status_code == 401)

        await eventually(refused, within_s=12)


async def test_too_many_requests_are_refused(open_guarded: Open) -> None:
    async with open_guarded("oidc", switchboard_api_rate_limit_per_minute=20) as server:
        secret = await make_key(server, Scope.READ)
        codes = [
            (await server.http.get("/api/rooms", headers=bearer(secret))).status_code
            for _ in range(22)
        ]
        assert codes == [200] * 20 + [429] * 2


# -- passes, for what a page's browser asks where only the page knows who it is


async def test_a_pass_opens_what_it_is_for_and_nothing_else(open_guarded: Open) -> None:
    async with open_guarded("oidc") as server:
        made = server.runtime.sign_in.pass_for(person("ana", Role.QA), "/voice/session")
        found = await server.http.get("/api/voice/session/ses_1", headers=bearer(made))
        assert found.status_code == 404
        for path in ("/api/rooms", "/api/voice/sessions", "/api/audit"):
            assert (await server.http.get(path, headers=bearer(made))).status_code == 401, path
        command = await server.http.post(
            "/api/voice/session/ses_1/commands",
            json={"action": "end_session"},
            headers=bearer(made),
        )
        assert command.status_code == 403  # it is still ana's, who is no operator
        with pytest.raises(UnauthenticatedError):
            server.runtime.sign_in.by_cookie(made, via="api")


# -- testers


async def test_a_tester_ends_what_they_began_and_no_more(proxied: ApiServer) -> None:
    body = {"user_id": "nate", "agent_id": "pm-agent", "session_duration_hours": 1}
    mine = await proxied.http.post("/api/voice/session", json=body, headers=as_("qa"))
    theirs = await proxied.http.post("/api/voice/session", json=body, headers=as_("operator"))
    path = "/api/voice/session/{}".format
    refused = await proxied.http.delete(path(theirs.json()["session_id"]), headers=as_("qa"))
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    token = await proxied.http.post(f"{path(theirs.json()['session_id'])}/token", headers=as_("qa"))
    assert token.status_code == 403
    ended = await proxied.http.delete(path(mine.json()["session_id"]), headers=as_("qa"))
    assert ended.json()["status"] == "ended"
    both = await proxied.http.delete(path(theirs.json()["session_id"]), headers=as_("operator"))
    assert both.json()["status"] == "ended"


# -- the audit log


async def test_nothing_in_the_audit_log_can_be_changed(store_url: str, tmp_path: Path) -> None:
    settings = store_settings(store_url, tmp_path)
    async with open_store(settings) as store:
        from services.access.audit_log import open_audit

        async with open_audit(store.access.add_entries) as audit:
            audit.write(person("ana"), "Rooms.end", target="x", outcome="done", facts={"a": "\x00"})
        page = await store.access.page(AuditQuery(text="ana"), cursor=None)
        assert [(one.action, one.facts) for one in page.entries] == [("Rooms.end", {"a": "�"})]
    engine = make_engine(database_url(settings), timeout_s=5)
    try:
        for statement in ("UPDATE audit SET actor = 'bob'", "DELETE FROM audit"):
            with pytest.raises(DBAPIError, match="append-only"):
                async with engine.begin() as db:
                    await db.execute(text(statement))
    finally:
        await engine.dispose()
    async with open_store(settings) as store:
        page = await store.access.page(AuditQuery(), cursor=None)
        assert [one.actor for one in page.entries] == ["ana"]


async def test_the_audit_log_is_paged_and_filtered(store_url: str, tmp_path: Path) -> None:
    async with open_store(store_settings(store_url, tmp_path)) as store:
        from services.access.audit_log import open_audit

        async with open_audit(store.access.add_entries) as audit:
            for number in range(7):
                outcome = "denied" if number % 2 else "done"
                audit.write(
                    person(f"p{number}"), "A.b", target=f"100%_{number}", outcome=outcome, facts={}
                )
        first = await store.access.page(AuditQuery(outcome="done"), cursor=None, limit=3)
        rest = await store.access.page(
            AuditQuery(outcome="done"), cursor=first.next_cursor, limit=3
        )
        assert [one.actor for one in (*first.entries, *rest.entries)] == ["p6", "p4", "p2", "p0"]
        assert rest.next_cursor is None
        by_sign = await store.access.page(AuditQuery(text="100%_3"), cursor=None)
        assert [one.actor for one in by_sign.entries] == ["p3"]
        assert (await store.access.page(AuditQuery(text="1__%"), cursor=None)).entries == ()


async def test_entries_wait_for_a_database_that_is_away_and_nothing_is_done_unwritten() -> None:
    from services.access import audit_log as audit_module

    away, kept = True, []

    async def insert(entries: Any) -> None:
        if away:
            raise StoreUnavailableError("It is away.")
        kept.extend(entries)

    async with audit_module.open_audit(insert) as audit:
        for _ in range(audit_module.BACKLOG):
            audit.write(person(), "A.b", target="", outcome="done", facts={})
        with pytest.raises(StoreUnavailableError, match="actions are disabled"):
            audit.check_open()
        away = False
        await eventually(lambda: len(kept) == audit_module.BACKLOG)
        await asyncio.sleep(0)
        audit.check_open()


async def test_the_export_is_csv_without_formulas_and_is_itself_written_down(
    proxied: ApiServer,
) -> None:
    await proxied.http.delete("/api/rooms/=1+1", headers=as_("operator"))
    reply = await proxied.http.get("/api/audit", params={"q": "1+1"}, headers=as_("admin"))
    head, line = reply.text.splitlines()
    assert head.startswith("at,actor,role,via,address,action,target,outcome")
    assert ",operator,operator,api,127.0.0.1,RoomActions.end,'=1+1,not_found," in line
    assert (await audited(proxied, actor="admin"))[0][1] == "AuditReader.export"
