"""A second try for tests with real servers, browsers and sound: each is named, many fail the run.

They share two cores with what they start, and a machine that stands still for seconds makes one
of thousands fail. That is to be seen and mended, but is no reason to distrust all the others.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.categories import category_of

MOST: Final = 3  # in one run: more is no accident
_SAID: Final = 300  # characters of why


class SecondTries:
    """Counts the tests of one run that needed one."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep which test failed first, and how."""
        outcome: str = report.outcome
        if outcome == "rerun":  # pytest-rerunfailures' own
            crash = getattr(report.longrepr, "reprcrash", None)
            said = str(getattr(crash, "message", report.longrepr))
            self.why[report.nodeid] = " ".join(said.split())[:_SAID]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Too many: the run has failed, whatever the second tries said."""
        if len(self.why) > MOST and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name them, so that they are mended."""
        if not self.why:
            return
        terminalreporter.section("passed or failed at the second try only: to be mended")
        for nodeid, why in self.why.items():
            terminalreporter.line(f"{nodeid}: {why}")
        if len(self.why) > MOST:
            terminalreporter.line(f"More than {MOST} in one run: the run has failed.", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Count from here."""
    config.pluginmanager.register(SecondTries(), "second-tries")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests have no excuse."""
    for item in items:
        if category_of(item.path) != "unit":
            item.add_marker(pytest.mark.flaky(reruns=1))
