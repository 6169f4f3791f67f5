"""pm-agent with a model: the same conversations, and the rules where the model fails.

The models are langchain_core's own interface, carried out by hand: no provider is installed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver

from agents.pm_agent.graph import build
from agents.pm_agent.llm import ModelMind, RuleMind, mind_of
from agents.pm_agent.rules import understand
from agents.pm_agent.tickets import TicketStore, read_tickets
from agents.replay import PlainRuns
from agents.thread import GraphThread
from tests.unit.agents.test_agent_thread import spoken


class FakeChat(BaseChatModel):
    """Fills the schema's tool by our rules and streams "Well, " before what it is to say."""

    extracts: Callable[[str], dict[str, Any]] | None = None
    fails_after: int = -1  # chunks of an answer, then it breaks
    hangs: bool = False
    tools: bool = False

    @property
    def _llm_type(self) -> str:
        return "fake"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, AIMessage]:
        return self.model_copy(update={"tools": True})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        said = messages[-1].text
        args = self.extracts(said) if self.extracts else _by_rules(said)
        call = {"name": "Heard", "args": args, "id": "1", "type": "tool_call"}
        message = AIMessage("", tool_calls=[call])
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.tools:
            made = self._generate(messages).generations[0].message
            assert isinstance(made, AIMessage)
            yield ChatGenerationChunk(
                message=AIMessageChunk(content="", tool_calls=made.tool_calls, id=made.id)
            )
            return
        for number, word in enumerate(["Well, ", *messages[-1].text.split(" ")]):
            if number == self.fails_after:
                raise ConnectionError("the model went away")
            yield ChatGenerationChunk(
                message=AIMessageChunk(content=word if not number else f"{word} ")
            )


def _by_rules(said: str) -> dict[str, Any]:
    meant = understand(said, asking="done")
    return {"intent": meant.intent, **{str(s): items for s, items in meant.slots.items()}}


def thread(model: FakeChat, store: TicketStore, **bounds: float) -> GraphThread:
    graph = build(ModelMind(model, **bounds), store).compile(checkpointer=InMemorySaver())
    return GraphThread(graph, PlainRuns(), thread_id="t", configurable={"user_id": "nate"})


STANDUP = "yesterday i fixed the login today i will write the tests i am blocked by the vpn"


@pytest.mark.parametrize(
    "model",
    [
        FakeChat(),
        FakeChat(fails_after=0),
        FakeChat(extracts=lambda _: {"intent": "nonsense"}),
        FakeChat(extracts=lambda _: {"intent": "update", "done": 5}),
        FakeChat(hangs=True),
    ],
    ids=["well", "failing", "wrong intent", "wrong slots", "hanging"],
)
async def test_the_same_conversation_whatever_the_model_does(
    tmp_path: Path, model: FakeChat
) -> None:
    store = TicketStore(tmp_path / "tickets.db")
    talk = thread(model, store, understand_s=0.05, first_word_s=0.05)
    await talk.open()
    began_s = time.monotonic()
    assert "What have you finished?" in await spoken(talk.begin())
    assert "I propose two tickets" in await spoken(talk.reply(STANDUP))
    (pending,) = talk.pending
    talk.claim(pending.id)
    assert "I created two tickets" in await spoken(talk.resume(pending.id, {"type": "accept"}))
    assert "goodbye" in await spoken(talk.reply("that's all, bye"))
    assert talk.over
    assert len(read_tickets(store.path)) == 2
    assert time.monotonic() - began_s < 5


async def test_a_models_words_are_streamed_and_not_said_twice(tmp_path: Path) -> None:
    talk = thread(FakeChat(), TicketStore(tmp_path / "tickets.db"))
    await talk.open()
    pieces = [piece async for piece in talk.begin()]
    assert len(pieces) > 5
    assert "".join(pieces).count("What have you finished?") == 1
    answer = await spoken(talk.reply("i fixed the login"))
    assert answer == "Well, Done: fixed the login. What will you do next?"


async def test_a_model_that_breaks_off_is_followed_by_the_whole_sentence(tmp_path: Path) -> None:
    talk = thread(FakeChat(fails_after=3), TicketStore(tmp_path / "tickets.db"))
    await talk.open()
    answer = await spoken(talk.begin())
    assert answer.startswith("Well, Hello, this")
    assert answer.count("What have you finished?") == 1


async def test_a_model_may_understand_what_the_rules_do_not(tmp_path: Path) -> None:
    heard = {"intent": "update", "done": ["  the   thing  "], "blockers": []}
    mind = ModelMind(FakeChat(extracts=lambda _: heard))
    meant = await mind.understand("you know, that thing, all well", asking="", told=())
    assert meant.slots == {"done": ["the thing"], "blockers": []}


async def test_a_barge_in_passes_through_a_hanging_model(tmp_path: Path) -> None:
    store, saver = TicketStore(tmp_path / "tickets.db"), InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    graph = build(ModelMind(FakeChat(hangs=True)), store).compile(checkpointer=saver)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await graph.ainvoke({"messages": [HumanMessage("i fixed it")]}, config)
    graph = build(RuleMind(), store).compile(checkpointer=saver)
    state = await graph.ainvoke({"messages": [HumanMessage("hello?")]}, config)
    assert state["slots"] == {"done": ["fixed it"]}
    assert [m.text for m in state["messages"] if m.type == "ai"] == ["Okay. What will you do next?"]


def test_a_model_whose_package_is_missing_is_told() -> None:
    with pytest.raises(ImportError, match="langchain"):
        mind_of("openai:gpt-4.1-mini")
    with pytest.raises(ValueError, match="provider"):
        mind_of("nobody-knows-it")
