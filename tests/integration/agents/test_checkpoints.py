"""Threads outlive the process: in SQLite and in PostgreSQL, for more than one at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.types import Command
from pydantic import SecretStr

from agents.pm_agent.graph import build
from agents.pm_agent.llm import RuleMind
from agents.pm_agent.tickets import TicketStore, read_tickets
from services.checkpointer import open_checkpointer
from services.settings import Settings


def config(thread: str) -> Any:
    return {"configurable": {"thread_id": thread, "session_id": thread, "user_id": "nate"}}


async def test_a_thread_goes_on_where_the_last_process_left_it(
    tmp_path: Path, store_url: str
) -> None:
    settings = Settings(switchboard_data_dir=tmp_path, database_url=SecretStr(store_url))
    builder = build(RuleMind(), TicketStore(tmp_path / "tickets.db"))
    said = "yesterday i fixed the login today i will write the tests i am blocked by the vpn"
    async with open_checkpointer(settings) as saver:
        graph = builder.compile(checkpointer=saver)
        await graph.ainvoke({"messages": [HumanMessage(said)]}, config("ses_1"))
    async with open_checkpointer(settings) as saver:
        graph = builder.compile(checkpointer=saver)
        (pending,) = (await graph.aget_state(config("ses_1"))).interrupts
        await graph.ainvoke(Command(resume={pending.id: {"type": "accept"}}), config("ses_1"))
        state = (await graph.aget_state(config("ses_1"))).values
    assert "I created two tickets" in state["messages"][-1].text
    assert len(read_tickets(tmp_path / "tickets.db")) == 2


async def test_several_open_it_at_once(tmp_path: Path, store_url: str) -> None:
    settings = Settings(switchboard_data_dir=tmp_path, database_url=SecretStr(store_url))
    builder = build(RuleMind(), TicketStore(tmp_path / "tickets.db"))

    async def call(number: int) -> str:
        async with open_checkpointer(settings) as saver:
            graph = builder.compile(checkpointer=saver)
            thread = config(f"ses_{number}")
            for words in ("hello", "the login", "the tests", "no blockers"):
                await graph.ainvoke({"messages": [HumanMessage(words)]}, thread)
            return str((await graph.aget_state(thread)).values["slots"]["done"])

    async with open_checkpointer(settings):
        pass  # the tables are made once
    assert await asyncio.gather(*map(call, range(4))) == ["['the login']"] * 4
