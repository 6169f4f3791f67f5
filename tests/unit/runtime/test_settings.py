"""Settings: a wrong value is one sentence, a secret is never shown, .env.example is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.errors import ConfigError
from services.settings import PROJECT_DIR, Settings, http_form, load_settings, ws_form

SECRET = "this-secret-must-not-be-shown-anywhere"
EXAMPLES = re.compile(r"^#([A-Z_]+)=(.*)$", re.MULTILINE)


def load(**environ: str) -> Settings:
    """The settings from these variables alone."""
    return load_settings(environ, env_file=None)


def test_nothing_needs_to_be_set() -> None:
    settings = load()
    assert settings.livekit_url is None
    assert settings.embedded
    assert settings.sqlite_path == PROJECT_DIR / ".switchboard" / "switchboard.db"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SWITCHBOARD_EVENT_RETENTION_DAYS=3\nSWITCHBOARD_LOG_LEVEL=debug\n")
    settings = load_settings({"SWITCHBOARD_EVENT_RETENTION_DAYS": "4"}, env_file=file)
    assert settings.switchboard_event_retention_days == 4
    assert settings.switchboard_log_level == "debug"


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_means_the_default_also_against_the_file(
    empty: str, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("SWITCHBOARD_EVENT_RETENTION_DAYS=3\n")
    settings = load_settings({"SWITCHBOARD_EVENT_RETENTION_DAYS": empty}, env_file=file)
    assert settings.switchboard_event_retention_days == 90


def test_a_file_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert load_settings({}, env_file=tmp_path / ".env") == load()


def test_names_are_taken_in_any_case() -> None:
    assert load(switchboard_event_retention_days="5").switchboard_event_retention_days == 5


def test_other_peoples_variables_are_left_alone() -> None:
    assert load(HOME="/x", LIVEKIT_SOMETHING="y") == load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIVEKIT_URL", "livekit.example.com"),
        ("LIVEKIT_URL", "ftp://livekit.example.com"),
        ("LIVEKIT_URL", "ws://"),
        ("LIVEKIT_PUBLIC_URL", "//host"),
        ("SWITCHBOARD_URL", "ws://host"),
        ("SWITCHBOARD_LIVEKIT_METRICS_URL", "127.0.0.1:6789"),
        ("SWITCHBOARD_LOG_LEVEL", "loud"),
        ("SWITCHBOARD_EMBEDDED_LIVEKIT", "yes"),
        ("SWITCHBOARD_LIVEKIT_TIMEOUT_S", "0"),
        ("SWITCHBOARD_LIVEKIT_TIMEOUT_S", "61"),
        ("SWITCHBOARD_LIVEKIT_TIMEOUT_S", "nan"),
        ("SWITCHBOARD_LIVEKIT_TIMEOUT_S", "inf"),
        ("SWITCHBOARD_LIVEKIT_TIMEOUT_S", "5 s"),
        ("SWITCHBOARD_STORE_TIMEOUT_S", "-1"),
        ("SWITCHBOARD_POLL_INTERVAL_S", "0.01"),
        ("SWITCHBOARD_TOKEN_TTL_MINUTES", "1441"),
        ("SWITCHBOARD_SESSION_MAX_HOURS", "nan"),
        ("SWITCHBOARD_EVENT_RETENTION_DAYS", "1.5"),
        ("SWITCHBOARD_EVENT_RETENTION_DAYS", "0"),
        ("SWITCHBOARD_ALLOW_UNAUTHENTICATED_PUBLIC", "perhaps"),
    ],
)
def test_a_value_that_cannot_work_is_one_sentence_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as failure:
        load(**{name: value})
    assert failure.value.message.startswith(f"{name} cannot be used: ")
    assert failure.value.hint
    assert "\n" not in str(failure.value)
    assert failure.value.__suppress_context__, "the cause may hold the value"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("SWITCHBOARD_DATADIR", "SWITCHBOARD_DATA_DIR"),
        ("SWITCHBOARD_TOKEN_MINUTE", "SWITCHBOARD_TOKEN_TTL_MINUTES"),
    ],
)
def test_a_misspelt_name_is_refused_and_the_right_one_offered(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=f"{wrong} is not a setting.*did you mean {right}"):
        load(**{wrong: "x"})


def test_a_name_like_no_setting_points_to_the_list() -> None:
    with pytest.raises(ConfigError, match=r"\.env\.example lists them all"):
        load(SWITCHBOARD_XYXYXYXYXYXYXYXYXYXYXYXY="x")


def test_a_misspelt_name_in_the_file_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SWITCHBOARD_DATADIR=x\n")
    with pytest.raises(ConfigError, match="SWITCHBOARD_DATADIR is not a setting"):
        load_settings({}, env_file=file)


@pytest.mark.parametrize("missing", ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
def test_a_livekit_url_needs_its_key_pair(missing: str) -> None:
    pair = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": SECRET}
    del pair[missing]
    with pytest.raises(ConfigError, match=f"LIVEKIT_URL is set but {missing} is not") as failure:
        load(LIVEKIT_URL="ws://127.0.0.1:7880", **pair)
    assert SECRET not in str(failure.value)


def test_a_livekit_url_turns_the_embedded_server_off() -> None:
    settings = load(
        LIVEKIT_URL="ws://127.0.0.1:7880/", LIVEKIT_API_KEY="key", LIVEKIT_API_SECRET=SECRET
    )
    assert not settings.embedded
    assert settings.livekit_url == "ws://127.0.0.1:7880"


def test_the_embedded_server_can_be_turned_off_by_name() -> None:
    assert not load(SWITCHBOARD_EMBEDDED_LIVEKIT="off").embedded


@pytest.mark.parametrize("url", ["postgresql://u:p@h/d", "postgres://u:p@h/d", "sqlite:///x.db"])
def test_a_database_that_we_know_is_taken(url: str) -> None:
    settings = load(DATABASE_URL=url)
    assert settings.database_url.get_secret_value() == url
    assert settings.sqlite_path is None


def test_another_database_is_refused_without_showing_its_password() -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL names a database") as failure:
        load(DATABASE_URL=f"mysql://root:{SECRET}@host/db")
    assert SECRET not in str(failure.value)


def test_secrets_are_not_shown() -> None:
    settings = load(
        LIVEKIT_URL="ws://h",
        LIVEKIT_API_KEY="key",
        LIVEKIT_API_SECRET=SECRET,
        DATABASE_URL=f"postgresql://u:{SECRET}@h/d",
    )
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()
    assert settings.livekit_api_secret.get_secret_value() == SECRET


def test_a_wrong_value_beside_a_secret_does_not_show_it() -> None:
    with pytest.raises(ValidationError) as failure:
        Settings(livekit_api_secret=SecretStr(SECRET), switchboard_event_retention_days=0)
    assert SECRET not in str(failure.value)


def test_hosts_are_separated_by_commas() -> None:
    settings = load(SWITCHBOARD_ALLOWED_HOSTS=" a.example.com, b.example.com,,")
    assert settings.switchboard_allowed_hosts == ("a.example.com", "b.example.com")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().switchboard_event_retention_days = 5  # type: ignore[misc]  # what this tests


def test_settings_made_in_code_do_not_read_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWITCHBOARD_EVENT_RETENTION_DAYS", "5")
    assert Settings().switchboard_event_retention_days == 90


@pytest.mark.parametrize(
    ("given", "http", "ws"),
    [
        ("ws://h:7880", "http://h:7880", "ws://h:7880"),
        ("wss://h", "https://h", "wss://h"),
        ("http://h:7880/x", "http://h:7880/x", "ws://h:7880/x"),
        ("https://[::1]:7880", "https://[::1]:7880", "wss://[::1]:7880"),
    ],
)
def test_a_url_has_an_http_and_a_ws_form(given: str, http: str, ws: str) -> None:
    assert http_form(given) == http
    assert ws_form(given) == ws


def test_the_example_file_documents_every_setting_and_no_other() -> None:
    names = [name for name, _ in EXAMPLES.findall(example_file())]
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_what_the_example_file_shows_is_accepted() -> None:
    load(**dict(EXAMPLES.findall(example_file())))


def test_the_defaults_that_the_example_file_shows_are_the_defaults() -> None:
    shown, defaults = load(**dict(EXAMPLES.findall(example_file()))), load()
    told = {"auto", "off", "info", "false"}
    checked = 0
    for name, value in EXAMPLES.findall(example_file()):
        if value in told or re.fullmatch(r"[\d.]+", value):
            assert getattr(shown, name.lower()) == getattr(defaults, name.lower()), name
            checked += 1
    assert checked >= 10


def test_every_line_of_the_example_file_is_a_comment_so_that_copying_it_changes_nothing() -> None:
    lines = example_file().splitlines()
    assert all(not line or line.startswith("#") for line in lines)


def example_file() -> str:
    return (PROJECT_DIR / ".env.example").read_text(encoding="utf-8")
