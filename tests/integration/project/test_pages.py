"""The operator's pages as Streamlit runs them: filled, empty, failing and stale, on real servers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from services.events import Kind
from services.livekit.target import LiveKitTarget
from services.runtime import Runtime, close_runtime, get_runtime
from services.sessions.service import CreatedSession, NewSession
from services.settings import PROJECT_DIR, Settings
from services.store.records import Origin
from tests.conftest import StartLiveKit
from tests.integration.sessions.test_session_search import Told
from tests.support.callers import person
from tests.support.livekit_server import LiveKitServer
from tests.support.participants import People
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually, wait_until

MAIN: Final = PROJECT_DIR / "dashboard" / "main.py"
NOWHERE: Final = "http://127.0.0.1:9"  # the port "discard": nobody listens
# Refused at once; on a machine that is very slow just then, not within the time limit.
AWAY: Final = re.compile("(Cannot reach LiveKit|LiveKit did not answer)")
Start = Callable[..., Runtime]


@pytest.fixture
def start_runtime(tmp_path: Path) -> Iterator[Start]:
    """The runtime of this process, which the pages find; it ends with the test."""

    def start(target: LiveKitTarget | None, **changes: object) -> Runtime:
        found: dict[str, object] = {
            "livekit_url": target.url if target else NOWHERE,
            "livekit_api_key": target.api_key if target else "APIkey",
            "livekit_api_secret": target.api_secret if target else SecretStr("x" * 32),
            "switchboard_data_dir": tmp_path / "data",
            "switchboard_poll_interval_s": 0.2,
            "switchboard_livekit_timeout_s": 1,
            "switchboard_store_timeout_s": 1,
        }
        settings = Settings.model_validate(found | changes)
        close_runtime()
        runtime = get_runtime(lambda: Runtime(settings))
        reached = wait_until(
            lambda: runtime.rooms.snapshot.taken_at or runtime.rooms.snapshot.error, within_s=10
        )
        assert reached
        return runtime

    yield start
    close_runtime()


def new_session(runtime: Runtime, user_id: str = "nate") -> CreatedSession:
    wanted = NewSession(user_id=user_id, agent_name="pm-agent", duration=timedelta(hours=2))
    return runtime.call(
        lambda: runtime.sessions.create(wanted, origin=Origin.API, actor=person("test")),
        finish=True,
    )


def opened(page: str, /, **params: str) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=30).run()
    for parameter, value in params.items():
        app.query_params[parameter] = value
    return ran(app.switch_page(f"../pages/{page}.py"))


def ran(app: AppTest, *_changed: object) -> AppTest:
    """The page after these changes, which are arguments only so that they stand beside it."""
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    """All that the page says, without markdown's backslashes and joiners."""
    drawn = [*app.title, *app.header, *app.markdown, *app.caption, *app.error, *app.warning]
    tables = [table.value.to_csv() for table in [*app.table, *app.dataframe]]
    links = [link.proto.label for link in app.get("page_link")]
    text = "\n".join([*(str(part.value) for part in drawn), *tables, *links])
    return re.sub(r"\\(.)|\u2060", r"\1", text)


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


# -- empty


def test_pages_with_nothing_in_them_say_what_would_put_something_there(
    start_livekit: StartLiveKit, start_runtime: Start
) -> None:
    start_runtime(start_livekit().target)
    overview = opened("overview")
    assert figures(overview) == {"Rooms": "0", "Participants": "0", "Agents": "0", "Sessions": "0"}
    assert "Nothing needs attention." in said(overview)
    assert "No session yet." in said(overview)
    assert labels(opened("rooms")) == ["Create room"]
    agents = opened("agents")
    for part in (
        "No worker on this machine.",
        "No active jobs.",
        "pm-agent",
        "echo",
    ):
        assert part in said(agents)
    assert labels(agents).count("Start text chat") == 2
    assert "Room not found." in said(opened("room", name="nowhere"))
    assert "No session selected." in said(opened("session"))
    assert "no session" in said(opened("session", id=f"ses_{'0' * 32}")).lower()


# -- filled


async def test_pages_show_what_is_there(
    start_livekit: StartLiveKit, start_runtime: Start, join_room: People
) -> None:
    livekit = start_livekit()
    runtime = start_runtime(livekit.target)
    made = new_session(runtime)
    name = made.session.room_name
    caller = await join_room(livekit.target, name, token=made.token.token)

    async def published() -> bool:
        view = await runtime.acall(lambda: runtime.rooms.refresh(name))
        return view.publishers == 1

    await eventually(published)
    room = opened("room", name=name)
    assert figures(room)["Participants"] == "1"
    assert figures(room)["Time left"].startswith("1h")
    for part in (caller.identity, "Microphone", "(audio/", "not accepted", "publish"):
        assert part in said(room)
    assert {"End room", "Remove", "Mute", "One more hour", "Dispatch agent"} <= set(labels(room))

    overview = opened("overview")
    assert figures(overview) == {"Rooms": "1", "Participants": "1", "Agents": "0", "Sessions": "1"}
    assert "nate with pm-agent" in said(overview)
    session = opened("session", id=made.session.id)
    for part in ("nate with pm-agent", "Active", "Participants", caller.identity):
        assert part in said(session)
    for event in ("Session created", "Joined", "inferred"):  # no webhook comes here
        assert event in said(session)
    assert "End session" in labels(session)


def test_a_room_is_created_in_the_dialog_and_ended_after_a_question(
    start_livekit: StartLiveKit, start_runtime: Start
) -> None:
    runtime = start_runtime(start_livekit().target)
    app = opened("rooms")
    ran(app, app.button(key="rooms.create.open").click())
    app.text_input(key="rooms.create.name").input("made-here")
    ran(app, app.button(key="rooms.create.submit").click())
    assert "Room created: `made-here`" in app.success[0].value
    assert app.code[0].value.startswith("eyJ")

    room = opened("room", name="made-here")
    ran(room, room.button(key="room.end.open").click())
    assert "Nobody is known to be in it." in said(room)
    assert runtime.rooms.snapshot.get("made-here") is not None
    ran(room, room.button(key="room.end.confirm").click())
    assert wait_until(lambda: runtime.rooms.snapshot.get("made-here") is None, within_s=5)
    assert "This room has ended." in said(ran(room))


# -- failing


def test_pages_say_that_livekit_never_answered(start_runtime: Start) -> None:
    start_runtime(None)
    overview = said(opened("overview"))
    assert "**Unavailable**" in overview
    assert "LiveKit does not answer" in overview
    room = opened("room", name="somewhere")
    assert AWAY.search(room.warning[0].value)
    assert "is unknown" in said(room)
    assert "Room not found" not in said(room)

    rooms = opened("rooms")
    ran(rooms, rooms.button(key="rooms.create.open").click())
    rooms.text_input(key="rooms.create.name").input("not-yet")
    ran(rooms, rooms.button(key="rooms.create.submit").click())
    assert AWAY.search(rooms.warning[0].value)
    assert rooms.text_input(key="rooms.create.name").value == "not-yet"


def test_pages_say_that_the_database_is_away_and_show_the_rest(
    restartable_postgres: PostgresServer, start_livekit: StartLiveKit, start_runtime: Start
) -> None:
    url = restartable_postgres.url(restartable_postgres.new_database())
    runtime = start_runtime(start_livekit().target, database_url=url)
    made = new_session(runtime)
    restartable_postgres.kill()
    session = opened("session", id=made.session.id)
    assert "database" in session.warning[0].value
    assert "Try again" in labels(session)
    overview = opened("overview")
    assert figures(overview)["Rooms"] == "1"
    assert "database" in overview.warning[0].value
    room = opened("room", name=made.session.room_name)
    assert "database" in room.warning[0].value
    agents = opened("agents")
    assert "database" in agents.warning[0].value
    assert "pm-agent" in said(agents)


# -- stale


async def test_what_was_known_stays_with_its_age_while_livekit_is_away(
    restartable_livekit: LiveKitServer, start_runtime: Start, mortal_people: People
) -> None:
    runtime = start_runtime(restartable_livekit.target)
    made = new_session(runtime)
    name = made.session.room_name
    caller = await mortal_people(restartable_livekit.target, name, token=made.token.token)
    runtime.call(lambda: runtime.rooms.refresh(name))
    mortal_people.kill()
    restartable_livekit.kill()
    assert wait_until(lambda: runtime.rooms.snapshot.error is not None, within_s=10)

    room = opened("room", name=name)
    assert AWAY.search(room.warning[0].value)
    assert "Showing data from" in said(room)
    assert caller.identity in said(room)
    overview = opened("overview")
    assert figures(overview)["Rooms"] == "1"
    assert "LiveKit does not answer" in said(overview)
    assert labels(opened("rooms")) == ["Create room"]
    assert "Active" in said(opened("session", id=made.session.id))

    restartable_livekit.start()
    assert wait_until(lambda: runtime.rooms.snapshot.error is None, within_s=10)
    assert "This room has ended." in said(ran(room))


# -- shared by all viewers


async def test_whoever_was_told_of_a_change_reads_an_overview_that_has_it(
    start_livekit: StartLiveKit, start_runtime: Start
) -> None:
    runtime = start_runtime(start_livekit().target)
    for number in range(1, 4):
        before = runtime.call(runtime.overview.read)
        with runtime.hub.subscribe(("overview",)) as told:
            new_session(runtime, f"caller-{number}")
            await told.next()
            after = runtime.call(runtime.overview.read)
        assert (before.sessions, after.sessions) == (number - 1, number)


async def two_sessions(runtime: Runtime) -> str:
    """One of ana's with pm-agent, of one turn; one of ben's with echo, of two turns and 90 s.

    Gives the room of ben's.
    """
    ana = Told(runtime.store, 1, room="room-of-ana")
    ben = Told(runtime.store, 2, agent="echo", room="room-of-ben")
    await ana.begin("ana")
    await ana.turn(1, "Hello", "Hello.", 400)
    await ben.begin("ben")
    for after_s in (1, 10):
        await ben.turn(after_s, "Hello", "Hello…", 2_000)
    await ben.tell(Kind.AGENT_ERROR, 20, message="x")
    await ben.end(90)
    await ben.tell(Kind.ASSIGNED, 95, to="zoe")
    return ben.room_name


def listed(app: AppTest) -> list[str]:
    return [str(user) for frame in app.dataframe for user in frame.value["user_id"]]


def address_of(app: AppTest) -> dict[str, str]:
    """The page's query; AppTest gives a value set by the page as text, one of a link in a list."""
    return {
        name: value if isinstance(value, str) else value[0]
        for name, value in app.query_params.items()
    }


def labelled(app: AppTest, kind: str, label: str) -> Any:
    """The widget of that kind and label."""
    (found,) = [one for one in app.get(kind) if getattr(one, "label", "") == label]
    return found


def test_a_link_to_the_sessions_page_sets_its_filters_order_and_columns(
    start_runtime: Start,
) -> None:
    runtime = start_runtime(None)
    ben = runtime.call(lambda: two_sessions(runtime), finish=True)
    app = opened("sessions")
    assert listed(app) == ["ben", "ana"]
    assert list(app.dataframe[0].value.columns[:3]) == ["created_at", "user_id", "agent_name"]
    issues = dict(zip(listed(app), app.dataframe[0].value["issues"], strict=True))
    assert issues == {"ben": "1 error, 2 interruptions", "ana": ""}

    assert listed(opened("sessions", sort="turns")) == ["ana", "ben"]
    for link in (
        {"agent_name": "echo"},
        {"status": "ended,failed"},
        {"min_turns": "2"},
        {"min_latency_max_ms": "1000"},
        {"errors": "true"},
        {"created_after": "2026-01-01T11:00Z"},
        {"assignee": "zoe"},
        {"room_name": ben},
        {"room_name": f"{ben[:-1]}*"},
        {"min_duration_s": "60", "verdict": "none", "provenance": "observed"},
    ):
        app = opened("sessions", columns="user_id,turns", **link)
        assert listed(app) == ["ben"], link
        assert list(app.dataframe[0].value.columns) == ["user_id", "turns"]
        assert address_of(app) == {"columns": "user_id,turns", **link}
    app = opened("sessions", max_turns="1", min_turns="x", status="none", sort="loudest")
    assert listed(app) == ["ana"]
    assert any("with Turns ≤ 1" in one.value for one in app.markdown)


def test_filters_that_are_chosen_stand_in_the_address_and_are_cleared(
    start_runtime: Start,
) -> None:
    runtime = start_runtime(None)
    runtime.call(lambda: two_sessions(runtime), finish=True)
    app = opened("sessions")
    ran(app, labelled(app, "selectbox", "Agent").set_value("pm-agent"))
    assert labelled(app, "selectbox", "Assignee").options == ["any", "zoe", "none"]
    ran(app, labelled(app, "selectbox", "Assignee").set_value("-"))
    ran(app, labelled(app, "text_input", "Room").set_value("room-of-*"))
    assert listed(app) == ["ana"]
    ran(app, labelled(app, "number_input", "Turns ≥").set_value(1))
    ran(app, labelled(app, "selectbox", "Sort by").set_value("duration_s"))
    ran(app, labelled(app, "toggle", "Ascending").set_value(True))
    assert address_of(app) == {
        "room_name": "room-of-*",
        "agent_name": "pm-agent",
        "assignee": "-",
        "min_turns": "1",
        "sort": "duration_s",
    }
    assert listed(app) == []  # by a duration, what goes on is not listed
    ran(app, app.button(key="sessions.clear").click())
    ran(app)
    assert address_of(app) == {}
    assert listed(app) == ["ben", "ana"]
