"""Each test module lies in the folder of its category, and the folder gives the marker."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

CATEGORIES: Final = ("unit", "integration", "browser", "voice")
_ON_ONE_LOOP: Final = ("browser", "voice")
_LONGEST_FIRST: Final = ("browser", "voice", "integration", "unit")
_TESTS: Final = Path(__file__).parent.parent


class MisplacedModule(pytest.Module):
    """A test module outside every category: collecting it is an error, not a silent pass."""

    def collect(self) -> Iterator[pytest.Item]:
        raise self.CollectError(
            f"{self.path.name} lies in no category. Move it into one of: "
            + ", ".join(f"tests/{name}" for name in CATEGORIES)
        )


def category_of(path: Path, tests: Path = _TESTS) -> str | None:
    """The category of a test module, or None where it lies in none."""
    try:
        first = path.resolve().relative_to(tests.resolve()).parts[0]
    except ValueError:
        return None
    return first if first in CATEGORIES and path.parent.resolve() != tests.resolve() else None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> MisplacedModule | None:
    """Refuse a module outside the categories."""
    if category_of(module_path) is None:
        misplaced: MisplacedModule = MisplacedModule.from_parent(parent, path=module_path)
        return misplaced
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test; unit tests run first, those with a browser last and on one event loop.

    Playwright's objects belong to the loop that made them, and one browser serves them all.
    """
    for item in items:
        category = category_of(item.path)
        assert category is not None, "collection let a misplaced module through"
        item.add_marker(getattr(pytest.mark, category))
        is_coroutine = isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj)
        if category in _ON_ONE_LOOP and is_coroutine:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    in_parallel = bool(items) and hasattr(items[0].config, "workerinput")
    order = _LONGEST_FIRST if in_parallel else CATEGORIES
    items.sort(key=lambda item: order.index(str(category_of(item.path))))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """What pytest-xdist gives to one process as a whole: a file; browser and voice tests together.

    pytest-xdist 3.8 has marks for such groups (`xdist_group`), which pytest 9.2 does not heed: it
    no longer reads the `_nodeid` in which they are kept.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        together = file.startswith(("tests/browser/", "tests/voice/"))
        return "browser and voice" if together else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """pytest-xdist's hook, asked where the tests are handed out."""
    config.option.loadscopereorder = (
        False  # in the order of collection: what takes long comes first
    )
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _unit_tests_start_no_process(request: pytest.FixtureRequest) -> Iterator[None]:
    """What starts a process is an integration test: `make test-fast` stays fast on any machine."""
    if "unit" not in request.node.keywords:
        yield
        return
    _started.clear()
    _watched.set()
    try:
        yield
    finally:
        _watched.clear()
    assert not _started, f"a unit test started a process ({_started[0]}): move it to integration"


_STARTS: Final = frozenset(
    {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system", "os.exec"}
)
_watched: Final = threading.Event()
_started: Final[list[str]] = []


def _watch(event: str, arguments: tuple[object, ...], starts: frozenset[str] = _STARTS) -> None:
    """It is called until the interpreter's end, when the names of this module are gone."""
    if event in starts and _watched.is_set():
        _started.append(f"{event} {arguments[:1]!r}"[:200])


sys.addaudithook(_watch)  # it stays for the life of the process, as all audit hooks do
