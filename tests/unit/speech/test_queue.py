"""The queue of the speech process: fair and bounded."""

from __future__ import annotations

import threading

import pytest

from agents.speech.fair_queue import FairQueue, FullError


def _taken(queue: FairQueue[str]) -> str:
    taken = queue.get()
    assert taken is not None
    queue.done()
    return taken[1]


def test_a_newcomer_waits_for_one_piece_of_each_other_not_for_all_of_them() -> None:
    queue: FairQueue[str] = FairQueue(each=5, total=10)
    for work in ("a1", "a2", "a3"):
        queue.put("a", work)
    queue.put("b", "b1")
    assert [_taken(queue) for _ in range(4)] == ["a1", "b1", "a2", "a3"]


def test_the_rest_of_a_work_comes_before_its_owners_next_but_after_the_others() -> None:
    queue: FairQueue[str] = FairQueue(each=5, total=10)
    queue.put("a", "a1")
    queue.put("a", "a2")
    queue.put("b", "b1")
    assert _taken(queue) == "a1"
    queue.put("a", "rest of a1", again=True)
    assert [_taken(queue) for _ in range(3)] == ["b1", "rest of a1", "a2"]


def test_one_owner_and_all_together_are_bounded() -> None:
    queue: FairQueue[str] = FairQueue(each=2, total=3)
    queue.put("a", "a1")
    queue.put("a", "a2")
    with pytest.raises(FullError):
        queue.put("a", "a3")
    queue.put("b", "b1")
    with pytest.raises(FullError):
        queue.put("c", "c1")


def test_what_a_lost_owner_waited_for_is_dropped() -> None:
    queue: FairQueue[str] = FairQueue(each=5, total=5)
    queue.put("a", "a1")
    queue.put("b", "b1")
    queue.drop("a")
    assert _taken(queue) == "b1"
    assert queue.idle


def test_cancelled_work_makes_room() -> None:
    queue: FairQueue[str] = FairQueue(each=1, total=1)
    queue.put("a", "a1")
    queue.remove("a", "not there")
    queue.remove("a", "a1")
    queue.put("b", "b1")
    assert len(queue) == 1
    assert _taken(queue) == "b1"


def test_it_is_idle_only_when_nothing_is_worked_on_either() -> None:
    queue: FairQueue[str] = FairQueue(each=5, total=5)
    queue.put("a", "a1")
    assert queue.get() == ("a", "a1")
    assert not queue.idle
    queue.done()
    assert queue.idle


def test_who_waits_for_work_is_woken_by_the_end() -> None:
    queue: FairQueue[str] = FairQueue(each=5, total=5)
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(queue.get()))
    waiting.start()
    queue.close()
    waiting.join(5)
    assert got == [None]
