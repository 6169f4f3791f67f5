"""A LangGraph thread talked to turn by turn: what is spoken, once, and what a barge-in leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt

from agents.replay import PlainRuns
from agents.thread import CUT_OFF, WAITING, GraphThread, NotAtRestError, NotPendingError


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    coaching: list[str]
    over: bool


class Slow:
    """A node that the test lets go on."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()


def compiled(slow: Slow | None = None, model: Any = None) -> Any:
    async def answer(state: State) -> dict[str, Any]:
        messages = state.get("messages") or []
        said = str(messages[-1].content) if messages else ""
        if slow is not None and said == "slow":
            slow.entered.set()
            await slow.go_on.wait()
        if model is not None and said:
            return {"messages": [await model.ainvoke(messages)]}
        if said == "ask":
            decision = interrupt({"action_request": {"action": "create", "args": {}}})
            return {"messages": [AIMessage(f"decided {decision}")]}
        if said == "fail":
            raise ValueError("broken")
        coached = " ".join(state.get("coaching") or [])
        text = f"you said {said}{coached}" if said else "hello"
        return {"messages": [AIMessage(text)], "over": said == "bye", "coaching": []}

    async def tidy(state: State) -> dict[str, Any]:
        return {}

    builder = StateGraph(State)
    builder.add_node("answer", answer)
    builder.add_node("tidy", tidy)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", "tidy")
    builder.add_edge("tidy", END)
    return builder.compile(checkpointer=InMemorySaver())


async def opened(graph: Any) -> GraphThread:
    thread = GraphThread(graph, PlainRuns(), thread_id="t", configurable={"user_id": "nate"})
    await thread.open()
    return thread


async def spoken(pieces: AsyncIterator[str]) -> str:
    return " ".join("".join([piece async for piece in pieces]).split())


async def test_a_new_thread_greets_and_answers_each_thing_once() -> None:
    thread = await opened(compiled())
    assert thread.fresh
    assert await spoken(thread.begin()) == "hello"
    assert await spoken(thread.reply("one")) == "you said one"
    assert await spoken(thread.reply("two")) == "you said two"
    assert not thread.over


async def test_a_thread_knows_when_its_graph_has_said_good_bye() -> None:
    thread = await opened(compiled())
    assert await spoken(thread.reply("bye")) == "you said bye"
    assert thread.over


async def test_a_thread_taken_up_again_says_so_and_repeats_what_was_said_last() -> None:
    graph = compiled()
    await spoken((await opened(graph)).reply("one"))
    again = await opened(graph)
    assert not again.fresh
    assert await spoken(again.begin()) == f"{CUT_OFF} you said one"
    assert await spoken(again.reply("two")) == "you said two"


async def test_what_a_model_streams_is_spoken_as_it_comes_and_not_again() -> None:
    words = GenericFakeChatModel(messages=iter([AIMessage("one two three")]))
    thread = await opened(compiled(model=words))
    pieces = [piece async for piece in thread.reply("count")]
    assert len(pieces) > 1
    assert "".join(pieces).strip() == "one two three"


async def test_while_an_answer_is_awaited_no_run_begins_and_the_answer_goes_on_from_there() -> None:
    thread = await opened(compiled())
    assert await spoken(thread.reply("ask")) == ""
    (pending,) = thread.pending
    assert await spoken(thread.reply("are you there")) == WAITING
    thread.claim(pending.id)
    assert await spoken(thread.resume(pending.id, "yes")) == "decided yes"
    assert thread.pending == ()


async def test_an_interrupt_is_taken_by_one_answer_alone() -> None:
    thread = await opened(compiled())
    await spoken(thread.reply("ask"))
    (pending,) = thread.pending
    thread.claim(pending.id)
    with pytest.raises(NotPendingError):
        thread.claim(pending.id)
    thread.release(pending.id)
    thread.claim(pending.id)
    await spoken(thread.resume(pending.id, "no"))
    for stale in (pending.id, "never asked"):
        with pytest.raises(NotPendingError):
            thread.claim(stale)


async def test_a_thread_taken_up_with_an_open_question_still_waits_for_its_answer() -> None:
    graph = compiled()
    await spoken((await opened(graph)).reply("ask"))
    again = await opened(graph)
    assert await spoken(again.begin()) == f"{CUT_OFF} {WAITING}"
    again.claim(again.pending[0].id)
    assert await spoken(again.resume(again.pending[0].id, 7)) == "decided 7"


async def test_a_barge_in_leaves_the_thread_fit_for_the_next_turn() -> None:
    slow = Slow()
    thread = await opened(compiled(slow))
    running = asyncio.create_task(spoken(thread.reply("slow")))
    await slow.entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await spoken(thread.reply("next")) == "you said next"


async def test_a_failing_graph_raises_and_the_next_turn_works() -> None:
    thread = await opened(compiled())
    with pytest.raises(ValueError, match="broken"):
        await spoken(thread.reply("fail"))
    assert await spoken(thread.reply("again")) == "you said again"


async def test_what_a_coach_whispers_reaches_the_next_run_alone() -> None:
    thread = await opened(compiled())
    thread.whisper(", whispered")
    assert await spoken(thread.reply("one")) == "you said one, whispered"
    assert await spoken(thread.reply("two")) == "you said two"


async def test_a_state_is_changed_at_rest_and_a_question_asked_anew_after_it() -> None:
    thread = await opened(compiled())
    await spoken(thread.begin())
    assert await spoken(thread.reply("ask")) == ""
    (asked,) = thread.pending
    with pytest.raises(KeyError, match="surprise"):
        await thread.edit({"surprise": 1})
    with pytest.raises(KeyError, match="nowhere"):
        await thread.edit({"over": False}, "nowhere")
    state, asks_again = await thread.edit({"coaching": ["be kind"]})
    assert (state.values["coaching"], asks_again, thread.pending) == (["be kind"], True, ())
    assert await spoken(thread.rerun()) == ""
    (again,) = thread.pending
    assert again.value == asked.value
    thread.claim(again.id)
    with pytest.raises(NotAtRestError):  # an answer is on its way
        await thread.edit({"coaching": []})
    assert await spoken(thread.resume(again.id, "yes")) == "decided yes"


async def test_a_thread_goes_on_from_an_earlier_checkpoint() -> None:
    graph = compiled()
    thread = await opened(graph)
    await spoken(thread.begin())
    await spoken(thread.reply("first"))
    history = [
        state
        async for state in graph.aget_state_history({"configurable": {"thread_id": "t"}})
        if not state.next
    ]
    await spoken(thread.reply("second"))
    back = history[0].config["configurable"]["checkpoint_id"]
    state, asks_again = await thread.edit({}, back)
    said = [str(message.content) for message in state.values["messages"]]
    assert ("first" in said, "second" in said, asks_again) == (True, False, False)
    assert await spoken(thread.reply("third")) == "you said third"


async def test_a_graph_at_work_keeps_its_state() -> None:
    slow = Slow()
    thread = await opened(compiled(slow))
    await spoken(thread.begin())
    running = asyncio.create_task(spoken(thread.reply("slow")))
    await slow.entered.wait()
    with pytest.raises(NotAtRestError):
        await thread.edit({"over": True})
    slow.go_on.set()
    assert await running == "you said slow"
