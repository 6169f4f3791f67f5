"""A second try for browser and voice tests: each is named with its cause, many fail the run.

They share two cores with what they start, and a machine that stands still for seconds makes one
of hundreds fail. Unit and integration tests have no second try.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.categories import category_of

LIMIT: Final = 3  # in one run: more is no accident
_CAUSE_CHARS: Final = 300


class SecondTries:
    """The flake record of one run."""

    def __init__(self) -> None:
        self.causes: dict[str, str] = {}

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep which test failed at its first try, and how."""
        outcome: str = report.outcome
        if outcome == "rerun":  # pytest-rerunfailures' own
            crash = getattr(report.longrepr, "reprcrash", None)
            text = str(getattr(crash, "message", report.longrepr))
            self.causes[report.nodeid] = " ".join(text.split())[:_CAUSE_CHARS]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Too many: the run has failed, whatever the second tries gave."""
        if len(self.causes) > LIMIT and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name them, so that somebody fixes them."""
        count = len(self.causes)
        terminalreporter.section(
            f"flake record: {count or 'no'} second {'try' if count == 1 else 'tries'}"
        )
        for nodeid, cause in self.causes.items():
            terminalreporter.line(f"{nodeid}: {cause}")
        if count > LIMIT:
            terminalreporter.line(f"More than {LIMIT} in one run: the run has failed.", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Count here; under pytest-xdist the reports of all processes arrive here, too."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecondTries(), "second-tries")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only where a browser or sound is real."""
    for item in items:
        if category_of(item.path) in {"browser", "voice"}:
            item.add_marker(pytest.mark.flaky(reruns=1))
