"""A test that passes at its second try only is named; too many of them fail the run."""

from __future__ import annotations

import pytest

from tests.support.second_try import LIMIT

_CONFTEST = """
import pytest
from tests.support.second_try import SecondTries

def pytest_configure(config):
    config.addinivalue_line("markers", "flaky: tried again")
    config.pluginmanager.register(SecondTries())
"""
_TESTS = """
import pytest
tried = set()

@pytest.mark.flaky(reruns=1)
@pytest.mark.parametrize("number", range({count}))
def test_late(number):
    late = number not in tried
    tried.add(number)
    assert not late, "the page was late"
"""


def _run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    pytester.makeconftest(_CONFTEST)
    pytester.makepyfile(tests)
    return pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:anyio")


def test_one_that_passes_at_its_second_try_is_named_with_its_reason(
    pytester: pytest.Pytester,
) -> None:
    ran = _run(pytester, _TESTS.format(count=1))
    ran.assert_outcomes(passed=1)
    assert ran.ret == pytest.ExitCode.OK
    ran.stdout.fnmatch_lines(
        ["*flake record: 1 second try*", "*test_late?0?: AssertionError: the page was*"]
    )


def test_too_many_fail_the_run(pytester: pytest.Pytester) -> None:
    ran = _run(pytester, _TESTS.format(count=LIMIT + 1))
    assert ran.ret == pytest.ExitCode.TESTS_FAILED
    ran.stdout.fnmatch_lines([f"More than {LIMIT} in one run: the run has failed."])


def test_one_that_fails_twice_fails(pytester: pytest.Pytester) -> None:
    ran = _run(pytester, "import pytest\n@pytest.mark.flaky(reruns=1)\ndef test_no(): assert 0\n")
    assert ran.ret == pytest.ExitCode.TESTS_FAILED
