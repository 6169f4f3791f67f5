"""The shared loop: calls from threads and other loops, cancelled, shielded, refused, re-made."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.errors import ConfigError, NotFoundError, RuntimeClosedError, StoreUnavailableError
from services.runtime import Runtime, close_runtime, get_runtime, held_runtime
from services.settings import Settings
from tests.support.waiting import eventually, wait_until

Make = Callable[[], Runtime]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nobody listens at that LiveKit; the shared loop does not need one."""
    return Settings(
        livekit_url="http://127.0.0.1:9",
        livekit_api_key="APIkey",
        livekit_api_secret=SecretStr("secret-of-at-least-32-characters"),
        switchboard_data_dir=tmp_path / "data",
        switchboard_poll_interval_s=60,
    )


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    made = Runtime(settings)
    made.start()
    yield made
    made.close()


@pytest.fixture
def shared(settings: Settings) -> Iterator[Make]:
    """The process's own runtime, closed afterwards."""
    yield lambda: get_runtime(lambda: Runtime(settings))
    close_runtime()


def tasks_on(runtime: Runtime) -> set[str]:
    async def names() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks()}

    return runtime.call(names)


async def _answer() -> int:
    return 42


def test_a_thread_gets_the_result_of_a_coroutine(runtime: Runtime) -> None:
    assert runtime.call(_answer) == 42


def test_the_coroutine_runs_on_the_runtimes_own_thread(runtime: Runtime) -> None:
    async def where() -> str:
        return threading.current_thread().name

    assert runtime.call(where) == "switchboard"


async def test_a_coroutine_of_another_loop_gets_it_too(runtime: Runtime) -> None:
    assert await runtime.acall(_answer) == 42

    async def from_inside() -> int:
        return await runtime.acall(_answer)

    assert runtime.call(from_inside) == 42


async def test_our_errors_come_through_as_they_are(runtime: Runtime) -> None:
    async def fail() -> None:
        raise NotFoundError("No such room.", hint="Look again.")

    with pytest.raises(NotFoundError, match="Look again"):
        runtime.call(fail)
    with pytest.raises(NotFoundError, match="Look again"):
        await runtime.acall(fail)


async def test_a_call_that_hangs_ends_at_its_timeout_and_is_cancelled(runtime: Runtime) -> None:
    cancelled = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    began = time.monotonic()
    with pytest.raises(RuntimeClosedError, match=r"No answer within 0\.05 s"):
        runtime.call(hang, timeout_s=0.05)
    assert cancelled.wait(5)
    cancelled.clear()
    with pytest.raises(RuntimeClosedError, match=r"No answer within 0\.05 s"):
        await runtime.acall(hang, timeout_s=0.05)
    assert cancelled.wait(5)
    assert time.monotonic() - began < 2


class StopScriptError(BaseException):
    """As Streamlit's: it ends a script run, and no `except Exception` catches it."""


def test_a_read_is_cancelled_when_its_page_is_stopped(runtime: Runtime) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def slow_read() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def stopped() -> None:
        if begun.is_set():
            raise StopScriptError

    with pytest.raises(StopScriptError):
        runtime.call(slow_read, stopped=stopped)
    assert cancelled.wait(5)


def test_a_write_finishes_although_its_page_was_stopped(runtime: Runtime) -> None:
    begun, go_on, done = threading.Event(), asyncio.Event(), threading.Event()

    async def write() -> None:
        begun.set()
        await go_on.wait()
        done.set()

    def stopped() -> None:
        if begun.is_set():
            raise StopScriptError

    with pytest.raises(StopScriptError):
        runtime.call(write, stopped=stopped, finish=True)
    assert not done.is_set()

    async def let_it() -> None:
        go_on.set()

    runtime.call(let_it)
    assert done.wait(5)


def test_five_quick_reruns_leave_nothing_running(runtime: Runtime) -> None:
    before = tasks_on(runtime)
    started: list[int] = []

    async def slow_read() -> None:
        started.append(1)
        await asyncio.Event().wait()

    for number in range(5):

        def stopped(number: int = number) -> None:
            if len(started) > number:
                raise StopScriptError

        with pytest.raises(StopScriptError):
            runtime.call(slow_read, stopped=stopped)
    assert len(started) == 5
    wait_until(lambda: len(tasks_on(runtime)) <= len(before), within_s=5)


async def test_a_cancelled_coroutine_of_another_loop_cancels_its_call(runtime: Runtime) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def slow() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    aio_task = asyncio.create_task(runtime.acall(slow))
    await eventually(begun.is_set)
    aio_task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await aio_task
    await eventually(cancelled.is_set)


def test_a_call_on_the_loops_own_thread_is_refused_because_it_would_never_return(
    runtime: Runtime,
) -> None:
    async def wrong() -> None:
        runtime.call(_answer)

    with pytest.raises(RuntimeError, match="own thread"):
        runtime.call(wrong)
    assert runtime.call(_answer) == 42


async def test_after_closing_calls_say_so(settings: Settings) -> None:
    runtime = Runtime(settings)
    with pytest.raises(RuntimeClosedError):
        runtime.call(_answer)
    runtime.start()
    runtime.close()
    runtime.close()
    assert not runtime.alive
    with pytest.raises(RuntimeClosedError):
        runtime.call(_answer)
    with pytest.raises(RuntimeClosedError):
        await runtime.acall(_answer)


async def test_calls_under_way_at_the_close_end_with_our_error(settings: Settings) -> None:
    runtime = Runtime(settings)
    runtime.start()
    begun = threading.Event()
    errors: list[RuntimeClosedError] = []

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    def from_thread() -> None:
        try:
            runtime.call(hang)
        except RuntimeClosedError as exc:
            errors.append(exc)

    os_thread = threading.Thread(target=from_thread)
    os_thread.start()
    from_loop = asyncio.create_task(runtime.acall(hang))
    await eventually(begun.is_set)
    await asyncio.to_thread(runtime.close)
    with pytest.raises(RuntimeClosedError):
        await from_loop
    await eventually(lambda: not os_thread.is_alive())
    assert len(errors) == 1


async def test_a_close_with_reads_under_way_leaves_no_connection_open(
    settings: Settings, recwarn: pytest.WarningsRecorder
) -> None:
    for _ in range(5):
        runtime = Runtime(settings)
        runtime.start()
        reading = threading.Event()

        async def read(runtime: Runtime = runtime, reading: threading.Event = reading) -> None:
            async with runtime.store.reading():
                reading.set()
                await asyncio.Event().wait()

        aio_tasks = [asyncio.create_task(runtime.acall(read)) for _ in range(3)]
        await eventually(reading.is_set)
        await asyncio.to_thread(runtime.close)
        for ended in await asyncio.gather(*aio_tasks, return_exceptions=True):
            assert isinstance(ended, RuntimeClosedError)
        connections = [t for t in threading.enumerate() if "_connection_worker_thread" in t.name]
        assert connections == []
    gc.collect()  # a connection that nobody closed says so when it goes
    assert not [str(one.message) for one in recwarn if one.category is ResourceWarning]


async def test_a_call_that_is_nearly_done_at_the_close_finishes(settings: Settings) -> None:
    runtime = Runtime(settings)
    runtime.start()
    begun, go_on = threading.Event(), asyncio.Event()

    async def write() -> int:
        begun.set()
        await go_on.wait()
        return await _answer()

    writing = asyncio.create_task(runtime.acall(write))
    await eventually(begun.is_set)
    closing = asyncio.create_task(asyncio.to_thread(runtime.close))
    while runtime._calls is None or not runtime._calls._closing:  # it takes no more
        await asyncio.sleep(0)
    with pytest.raises(RuntimeClosedError):
        await runtime.acall(_answer)
    assert runtime._loop is not None
    runtime._loop.call_soon_threadsafe(go_on.set)
    assert await writing == 42
    await closing


def test_the_process_has_one_runtime_and_a_dead_one_is_made_anew(shared: Make) -> None:
    first = shared()
    assert shared() is first
    assert held_runtime() is first
    first.close()
    second = shared()
    assert second is not first
    assert second.call(_answer) == 42


def test_many_threads_that_ask_at_once_start_one_runtime(shared: Make) -> None:
    found: list[Runtime] = []
    threads = [threading.Thread(target=lambda: found.append(shared())) for _ in range(10)]
    for os_thread in threads:
        os_thread.start()
    for os_thread in threads:
        os_thread.join()
    assert len(set(map(id, found))) == 1


def test_two_of_them_in_one_data_folder_are_refused(runtime: Runtime, settings: Settings) -> None:
    with pytest.raises(ConfigError, match="in use by another Switchboard"):
        Runtime(settings).start()
    assert runtime.call(_answer) == 42


def test_a_data_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(livekit_url="ws://127.0.0.1:9", switchboard_data_dir=tmp_path / "file/data")
    with pytest.raises(ConfigError, match="cannot be used"):
        Runtime(settings).start()


def test_a_database_that_cannot_be_opened_stops_the_start_and_frees_the_folder(
    settings: Settings,
) -> None:
    broken = settings.model_copy(
        update={"database_url": SecretStr("postgresql://u:hunter22@127.0.0.1:9/none")}
    )
    with pytest.raises(StoreUnavailableError) as caught:
        Runtime(broken).start()
    assert "hunter22" not in str(caught.value)
    good = Runtime(settings)
    good.start()
    good.close()


def test_a_failed_start_is_not_repeated_for_every_caller(settings: Settings) -> None:
    starts: list[int] = []

    def make() -> Runtime:
        starts.append(1)
        bad = settings.model_copy(update={"switchboard_langgraph_json": Path("absent.json")})
        return Runtime(bad)

    try:
        for _ in range(5):
            with pytest.raises(ConfigError, match=r"absent\.json"):
                get_runtime(make)
        assert len(starts) == 1
    finally:
        close_runtime()


def test_the_loop_measures_its_own_lag(runtime: Runtime) -> None:
    async def block() -> None:
        time.sleep(0.06)  # what nobody should do

    runtime.call(block)
    deadline = time.monotonic() + 5
    while runtime.lag.read().over_limit == 0 and time.monotonic() < deadline:
        runtime.call(_answer)
    assert runtime.lag.read().worst_ms >= 20


def test_context_of_the_caller_is_not_needed(runtime: Runtime) -> None:
    assert contextvars.copy_context().run(runtime.call, _answer) == 42
