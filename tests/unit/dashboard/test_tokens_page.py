"""The Tokens page without any LiveKit server: making a token, and looking into one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from dashboard.tokens import page as tokens
from dashboard.tokens import token_state
from dashboard.tokens.token_grants import GROUPS, SOURCES, livekit_name
from services.clock import utc_now
from services.errors import InvalidInputError
from services.livekit.grants import from_claims
from services.livekit.tokens import (
    PRESETS,
    Grants,
    MintedToken,
    RoomConfig,
    TokenRequest,
    TrackSource,
    decode,
    mint,
)
from services.runtime import Runtime, close_runtime, get_runtime
from services.settings import PROJECT_DIR, Settings
from tests.support.ports import free_port

KEY: Final = "APItest"
SECRET: Final = SecretStr("a-secret-of-forty-characters-0123456789x")
PAGE: Final = PROJECT_DIR / "pages" / "tokens.py"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """A runtime whose LiveKit does not answer: the page must not need it."""
    settings = Settings(
        livekit_url=f"http://127.0.0.1:{free_port()}",
        livekit_api_key=KEY,
        livekit_api_secret=SECRET,
        switchboard_data_dir=tmp_path_factory.mktemp("tokens-page"),
    )
    close_runtime()
    yield get_runtime(lambda: Runtime(settings))
    close_runtime()
    sys.__dict__.pop("_switchboard_runtime", None)


@pytest.fixture
def page(runtime: Runtime) -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=20)


def opened(page: AppTest, **params: str) -> AppTest:
    for name, value in params.items():
        page.query_params[name] = value
    return ran(page)


def ran(page: AppTest, *_changed: object) -> AppTest:
    """The page after these changes, which are arguments only so that they stand beside it."""
    page.run()
    assert not page.exception, page.exception
    return page


def made(page: AppTest, **params: str) -> str:
    """The token that a click gives."""
    opened(page, **params)
    ran(page, page.button(key="tokens.make").click())
    token: str = page.code[0].value
    return token


def words(page: AppTest) -> str:
    """All that the page says, as it is read: without markdown's backslashes and joiners."""
    drawn = [*page.markdown, *page.caption, *page.warning, *page.error, *page.header]
    tables = [table.value.to_csv(index=False) for table in page.table]
    text = "\n".join([*(str(part.value) for part in drawn), *tables])
    return re.sub(r"\\(.)|\u2060", r"\1", text)


def address(page: AppTest) -> dict[str, str]:
    """The query parameters; AppTest holds them as lists or as they are."""
    given = page.query_params
    return {name: v[0] if isinstance(v := given[name], list) else v for name in given}


def read(token: str) -> TokenRequest:
    return decode(token, keys={KEY: SECRET}).says


# -- making


def test_the_page_opens_with_a_caller_and_asks_for_a_room(page: AppTest) -> None:
    opened(page)
    assert page.segmented_control(key="tokens.preset").value == "caller"
    assert str(page.text_input(key="tokens.identity").value).startswith("caller-")
    assert page.button(key="tokens.make").disabled
    assert "The room is missing." in words(page)
    assert not page.code


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_click_makes_the_token_of_each_preset(page: AppTest, name: str) -> None:
    says = read(made(page, preset=name, room="desk"))
    preset = PRESETS[name]
    assert says.grants == preset.grants
    assert (says.room, says.ttl, says.kind) == ("desk", preset.ttl, preset.kind)
    assert says.identity.startswith(f"{preset.identity_prefix}-") or not preset.joins
    assert "No issues found" in words(page)
    assert "Valid until" in words(page)


def test_a_link_that_names_nothing_known_changes_nothing(page: AppTest) -> None:
    opened(page, preset="king", room="")
    assert page.segmented_control(key="tokens.preset").value == "caller"


def test_the_address_follows_the_form_and_never_holds_a_token(page: AppTest) -> None:
    token = made(page, room="desk")
    assert address(page) == {"preset": "caller", "room": "desk"}
    ran(page, page.segmented_control(key="tokens.preset").set_value("listener"))
    assert address(page) == {"preset": "listener", "room": "desk"}
    ran(page, page.toggle(key="tokens.link").set_value(True))
    assert token not in str(page.query_params)


def test_a_change_of_preset_brings_its_rights_holder_and_time(page: AppTest) -> None:
    opened(page, room="desk")
    ran(page, page.segmented_control(key="tokens.preset").set_value("observer"))
    assert page.checkbox(key="tokens.grant.hidden").value
    assert not page.checkbox(key="tokens.grant.can_publish").value
    assert page.selectbox(key="tokens.holder").value == "observer"
    assert page.selectbox(key="tokens.room").value == "desk"


def test_a_change_of_preset_keeps_who_and_where(page: AppTest) -> None:
    opened(page, room="desk")
    ran(page, page.text_input(key="tokens.identity").set_value("nate"))
    ran(page, page.segmented_control(key="tokens.preset").set_value("listener"))
    assert page.text_input(key="tokens.identity").value == "nate"
    assert page.selectbox(key="tokens.room").value == "desk"


def test_an_address_that_somebody_comes_by_later_fills_the_form_again(page: AppTest) -> None:
    opened(page, room="desk")
    ran(page, page.segmented_control(key="tokens.preset").set_value("listener"))
    page.query_params.clear()
    opened(page, room="other")
    assert page.selectbox(key="tokens.room").value == "other"
    assert page.segmented_control(key="tokens.preset").value == "listener"


def test_every_right_can_be_chosen_and_goes_into_the_token(page: AppTest) -> None:
    opened(page, room="desk")
    names = [right.name for group in GROUPS for right in group.rights]
    for name in names:
        page.checkbox(key=f"tokens.grant.{name}").set_value(True)
    page.text_input(key="tokens.grant.destination_room").set_value("other")
    page.text_input(key="tokens.grant.agent_endpoint_agent_name").set_value("pm-agent")
    page.text_input(key="tokens.grant.agent_endpoint_deployment").set_value("blue")
    page.text_input(key="tokens.grant.agent_thread_scope").set_value("scope")
    page.text_area(key="tokens.grant.agent_thread_thread_ids").set_value("a\n\nb")
    ran(page)
    ran(page, page.button(key="tokens.make").click())
    grants = read(page.code[0].value).grants
    assert all(getattr(grants, name) is True for name in names)
    assert grants.can_publish_sources == (TrackSource.MICROPHONE,)
    assert grants.agent_thread_thread_ids == ("a", "b")
    assert (grants.destination_room, grants.agent_endpoint_deployment) == ("other", "blue")


def test_the_form_offers_every_grant_and_every_source() -> None:
    offered = {right.name for group in GROUPS for right in group.rights}
    offered |= {text.name for group in GROUPS for text in group.texts}
    assert offered | {"can_publish_sources"} == set(Grants.__dataclass_fields__)
    assert set(SOURCES) == set(TrackSource)
    every = {livekit_name(right.name): True for right in GROUPS[0].rights}
    assert from_claims({"video": every}).ignored == ()


def test_rights_changed_by_hand_can_be_brought_back(page: AppTest) -> None:
    opened(page, room="desk")
    ran(page, page.checkbox(key="tokens.grant.room_admin").check())
    assert "mute and remove all" in words(page)
    ran(page, page.button(key="tokens.rights.back").click())
    assert not page.checkbox(key="tokens.grant.room_admin").value
    assert "mute and remove all" not in words(page)


def test_the_check_is_live_and_judges_by_who_holds_the_token(page: AppTest) -> None:
    opened(page, room="desk", preset="admin")
    assert "No issues found" in words(page)
    ran(page, page.selectbox(key="tokens.holder").set_value("person"))
    badges = [part.value for part in page.markdown if "badge" in str(part.value)]
    assert any("Danger" in badge for badge in badges)
    assert any("Warning" in badge for badge in badges)
    assert not page.button(key="tokens.make").disabled  # a warning, not a wall


def test_metadata_attributes_and_room_configuration_go_into_the_token(page: AppTest) -> None:
    opened(page, room="desk")
    page.text_area(key="tokens.metadata").set_value('{"a": 1}')
    page.text_area(key="tokens.attributes").set_value("language=en\n\nnote=a=b")
    page.number_input(key="tokens.ttl").set_value(2)
    page.selectbox(key="tokens.ttl.unit").set_value("hours")
    ran(page, page.toggle(key="tokens.config").set_value(True))
    page.multiselect(key="tokens.config.agents").set_value(["pm-agent"])
    page.text_input(key="tokens.config.agent_metadata").set_value("{}")
    page.number_input(key="tokens.config.max_participants").set_value(3)
    ran(page)
    ran(page, page.button(key="tokens.make").click())
    says = read(page.code[0].value)
    assert says.metadata == '{"a": 1}'
    assert says.attributes == {"language": "en", "note": "a=b"}
    assert says.ttl == timedelta(hours=2)
    assert isinstance(says.room_config, RoomConfig)
    assert says.room_config.max_participants == 3
    assert [a.agent_name for a in says.room_config.agents] == ["pm-agent"]


@pytest.mark.parametrize(
    ("key", "value", "words_wanted"),
    [
        ("tokens.identity", "", "The identity is missing."),
        ("tokens.identity", "x" * 257, "257 bytes"),
        ("tokens.name", "a\x07b", "control character"),
    ],
)
def test_what_livekit_would_not_take_is_said_before_the_click(
    page: AppTest, key: str, value: str, words_wanted: str
) -> None:
    opened(page, room="desk")
    ran(page, page.text_input(key=key).set_value(value))
    assert words_wanted in words(page)
    assert page.button(key="tokens.make").disabled


def test_a_time_that_is_too_long_is_said_before_the_click(page: AppTest) -> None:
    opened(page, room="desk")
    page.selectbox(key="tokens.ttl.unit").set_value("days")
    ran(page, page.number_input(key="tokens.ttl").set_value(31))
    assert "to 30 days" in words(page)
    assert page.button(key="tokens.make").disabled


def test_an_attribute_without_a_value_is_said_with_its_line(page: AppTest) -> None:
    opened(page, room="desk")
    ran(page, page.text_area(key="tokens.attributes").set_value("a=1\nb"))
    assert "Line 2 of the attributes" in words(page)
    assert page.button(key="tokens.make").disabled
    with pytest.raises(InvalidInputError, match="repeats a name"):
        token_state.attributes_in("a=1\na=2")


def test_a_token_of_a_changed_form_says_so_and_can_be_forgotten(page: AppTest) -> None:
    made(page, room="desk")
    assert "The form has changed" not in words(page)
    ran(page, page.text_input(key="tokens.name").set_value("Nate"))
    assert "The form has changed" in words(page)
    ran(page, page.button(key="tokens.forget").click())
    assert not page.code


def test_no_other_browser_session_sees_the_token(page: AppTest) -> None:
    made(page, room="desk")
    other = opened(AppTest.from_file(str(PAGE), default_timeout=20), room="desk")
    assert not other.code


def test_link_and_qr_code_come_after_a_click_only(page: AppTest) -> None:
    token = made(page, room="desk")
    assert len(page.code) == 1
    assert not page.get("image")
    ran(page, page.toggle(key="tokens.link").set_value(True))
    url = urlsplit(page.code[1].value)
    assert url.netloc == "meet.livekit.io"
    assert parse_qs(url.query)["token"] == [token]
    assert parse_qs(url.query)["liveKitUrl"][0].startswith("ws://127.0.0.1:")
    assert "external page" in words(page)
    assert "must reach the LiveKit server" in words(page)
    (image,) = page.get("image")
    assert "data:image/svg+xml" in str(image.proto)
    # The next token begins with the link closed again.
    ran(page, page.button(key="tokens.make").click())
    assert not page.get("image")


def test_a_token_that_joins_nothing_has_no_link(page: AppTest) -> None:
    made(page, preset="admin")
    assert not [toggle for toggle in page.toggle if toggle.key == "tokens.link"]


def test_it_is_said_which_browsers_can_reach_the_server() -> None:
    assert "this machine only" in tokens.reach("ws://127.0.0.1:7880")
    assert "this machine only" in tokens.reach("ws://localhost:7880")
    assert "LIVEKIT_PUBLIC_URL" in tokens.reach("ws://livekit.example:7880")
    assert "LIVEKIT_PUBLIC_URL" not in tokens.reach("wss://livekit.example")


def test_a_link_that_is_too_long_for_a_qr_code_says_so() -> None:
    assert tokens.qr_svg("x" * 2_900).startswith("<svg")
    with pytest.raises(InvalidInputError, match="too long"):
        tokens.qr_svg("x" * 3_000)


# -- looking


def minted(ttl: timedelta = timedelta(minutes=5), *, age: timedelta = timedelta(0)) -> MintedToken:
    request = TokenRequest(
        identity="nate",
        room="desk",
        name="*Nate* <b>",
        ttl=ttl,
        metadata="# not a heading",
        attributes={"language": "en"},
        grants=Grants(room_join=True, room_admin=True, can_publish_sources=("camera",)),
        room_config=RoomConfig(),
    )
    return mint(request, api_key=KEY, api_secret=SECRET, now=utc_now() - age)


def looked(page: AppTest, text: str) -> str:
    opened(page)
    page.text_area(key="tokens.paste").set_value(text)
    ran(page, page.button(key="tokens.look").click())
    return words(page)


def test_a_pasted_token_says_who_what_until_when_and_by_whom(page: AppTest) -> None:
    text = looked(page, f"Bearer {minted().token}")
    for part in ("Signature valid", "Valid now", "`nate`", "`desk`", "UTC (in ", "Administer room"):
        assert part in text
    assert "only camera" in text
    assert "mute and remove all" in text
    assert "*Nate* <b>" in text
    assert not [part for part in page.markdown if "<b>" in part.value or part.allow_html]
    assert page.json


def test_the_holder_of_a_pasted_token_can_be_corrected(page: AppTest) -> None:
    looked(page, minted().token)
    assert page.selectbox(key="tokens.found.holder").value == "person"
    ran(page, page.selectbox(key="tokens.found.holder").set_value("server"))
    assert "mute and remove all" not in words(page)


def test_an_expired_token_is_called_so(page: AppTest) -> None:
    assert "Expired" in looked(page, minted(age=timedelta(hours=1)).token)


def test_a_token_of_another_server_is_called_so(page: AppTest) -> None:
    request = TokenRequest(identity="nate", room="desk", grants=Grants(room_join=True))
    other = mint(request, api_key="APIother", api_secret=SECRET, now=utc_now()).token
    assert "Unknown API key" in looked(page, other)
    wrong = mint(request, api_key=KEY, api_secret=SecretStr("z" * 40), now=utc_now()).token
    assert "Signature invalid" in looked(page, wrong)


def test_garbage_gives_a_clear_sentence(page: AppTest) -> None:
    looked(page, "hello")
    assert "The text contains no access token" in words(page)
    ran(page, page.button(key="tokens.clear").click())
    assert "contains no access token" not in words(page)
    assert page.text_area(key="tokens.paste").value == ""


def test_nothing_of_a_token_is_written_down(page: AppTest, runtime: Runtime) -> None:
    token = made(page, room="desk")
    looked(page, token)
    folder: Path = runtime.settings.switchboard_data_dir
    signature = token.rsplit(".", 1)[1].encode()
    for path in folder.rglob("*"):
        if path.is_file():
            assert signature not in path.read_bytes(), path.name
