"""The test bed itself: its checks fail when they should."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from tests.support.categories import category_of
from tests.support.ports import free_port
from tests.support.processes import Child, StartError
from tests.support.secrets import (
    assert_no_secrets,
    assert_no_secrets_in_files,
    assert_no_secrets_logged,
    find_secrets,
)
from tests.support.waiting import eventually, wait_until

TOKEN = jwt.encode({"sub": "nate", "exp": datetime(2030, 1, 1, tzinfo=UTC)}, "s" * 40)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A pytest of its own that can import the test bed, with the plugins it names alone."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]")
    return pytester


def test_a_module_in_a_category_folder_gets_that_marker(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("integration") is not None
    assert request.node.get_closest_marker("unit") is None


@pytest.mark.parametrize(
    ("path", "category"),
    [
        ("unit/test_x.py", "unit"),
        ("integration/deep/test_x.py", "integration"),
        ("browser/test_x.py", "browser"),
        ("test_x.py", None),
        ("other/test_x.py", None),
        ("../test_x.py", None),
    ],
)
def test_the_first_folder_is_the_category(path: str, category: str | None, tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    assert category_of(tests / path, tests) == category


def test_a_module_outside_the_categories_is_a_collection_error(inner: pytest.Pytester) -> None:
    inner.makeconftest("from tests.support.categories import *")
    inner.makepyfile(test_lost="def test_it(): pass")
    result = inner.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_lost.py lies in no category.*"])


@pytest.mark.parametrize(("ci", "outcome"), [("true", "failed"), ("", "skipped")])
def test_what_is_missing_fails_in_ci_and_is_skipped_elsewhere(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str
) -> None:
    monkeypatch.setenv("CI", ci)
    inner.makepyfile(
        "from tests.support.need import missing\ndef test_it(): missing('There is no moon.')"
    )
    result = inner.runpytest_subprocess("-ra", "-p", "no:cacheprovider")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["*There is no moon.*"])


def test_the_secret_scanner_sees_a_token_and_does_not_repeat_it() -> None:
    with pytest.raises(AssertionError, match="a page holds a token at byte 6") as failure:
        assert_no_secrets(f"token={TOKEN}", where="a page")
    assert TOKEN not in str(failure.value)


def test_the_secret_scanner_sees_a_secret_and_does_not_repeat_it() -> None:
    secret = "a-secret-of-some-length"
    with pytest.raises(AssertionError, match="a file holds a secret at byte 2") as failure:
        assert_no_secrets(f"x={secret}".encode(), secret, where="a file")
    assert secret not in str(failure.value)


def test_the_secret_scanner_refuses_a_secret_that_is_everywhere() -> None:
    with pytest.raises(ValueError, match="an empty secret"):
        find_secrets("text", "")


def test_the_secret_scanner_lets_other_text_pass() -> None:
    assert find_secrets("eyJhbGciOi.not-a-token wss://host/rtc?x=1", "some-secret") == []


@pytest.mark.parametrize("how", ["message", "extra", "argument", "traceback"])
def test_a_token_is_found_wherever_a_log_record_holds_it(how: str) -> None:
    record = logging.LogRecord("services.x", logging.INFO, __file__, 1, "joined", (), None)
    match how:
        case "message":
            record.msg = f"joined with {TOKEN}"
        case "extra":
            record.__dict__["reply"] = {"token": TOKEN}
        case "argument":
            record.msg, record.args = "joined with %s", (TOKEN,)
        case "traceback":
            try:
                raise ValueError(TOKEN)
            except ValueError as exc:
                record.exc_info = (type(exc), exc, exc.__traceback__)
    with pytest.raises(AssertionError, match=r"the log of services\.x holds a token"):
        assert_no_secrets_logged([record])


def test_a_token_is_found_in_a_file_of_any_format(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data.db").write_bytes(b"\x00\xff" + TOKEN.encode() + b"\x00")
    with pytest.raises(AssertionError, match=r"data\.db holds a token"):
        assert_no_secrets_in_files(tmp_path)
    assert_no_secrets_in_files(tmp_path, but=["data.db"])


def test_a_test_that_logs_a_token_fails(inner: pytest.Pytester) -> None:
    inner.makeconftest("from tests.conftest import _no_token_is_logged")
    inner.makepyfile(
        f"import logging\ndef test_it(): logging.getLogger('services').warning('{TOKEN}')"
    )
    result = inner.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the log of services holds a token*"])


async def test_eventually_gives_the_first_truthy_value() -> None:
    values = iter([0, None, "", "there"])
    assert await eventually(lambda: next(values)) == "there"


async def test_eventually_takes_async_checks_and_failed_asserts() -> None:
    values = iter([1, 2, 3])

    async def check() -> bool:
        assert next(values) == 3
        return True

    assert await eventually(check)


async def test_eventually_says_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match=r"not so within 0\.05 s; the check gave 0"):
        await eventually(lambda: 0, within_s=0.05)
    with pytest.raises(AssertionError, match="FileNotFoundError: not here yet"):
        await eventually(_not_here, within_s=0.05, ignoring=(OSError,))


async def test_eventually_lets_other_errors_pass() -> None:
    with pytest.raises(FileNotFoundError):
        await eventually(_not_here)


def test_wait_until_says_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match=r"not so within 0\.05 s; the check gave None"):
        wait_until(lambda: None, within_s=0.05)


def test_a_program_that_ends_early_is_shown_with_its_output(tmp_path: Path) -> None:
    child = Child("sh", ["sh", "-c", "echo no such setting; exit 3"], log=tmp_path / "sh.log")
    child.start()
    with pytest.raises(StartError, match=r"(?s)ended while it was starting.*no such setting"):
        child.wait_ready(lambda: False, within_s=10)
    child.stop()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    child = Child("the server", [tmp_path / "nothing"], log=tmp_path / "x.log")
    with pytest.raises(StartError, match="the server could not be started: No such file"):
        child.start()


def test_a_port_is_given_out_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def _not_here() -> bool:
    raise FileNotFoundError("not here yet")
