"""What each node of pm-agent does. A node returns its whole effect at once.

A barge-in cancels a run anywhere, and the next one begins at `hear` with what the finished nodes
left. So: no node relies on the one before it having run in the same run; what was said but not
taken in is taken in then; what was approved but not created is created then.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from langgraph.types import Command, interrupt

from agents.pm_agent import planning, words
from agents.pm_agent.llm import Mind
from agents.pm_agent.rules import MAX_CHARS, MAX_ITEMS, Understood
from agents.pm_agent.state import SLOTS, Intent, PMState, missing
from agents.pm_agent.tickets import TicketStore

log = logging.getLogger(__name__)

_EMPTY_WORDS: Final = frozenset({"hello", "yes", "unheard", "unclear"})
_ENDS: Final = frozenset({"finish", "none", "skip"})
_ASK_ABOUT: Final = r"(?:please )?ask(?: (?:him|her|them|the caller))? (?:about|for) (.{1,120})"

Update = dict[str, Any]


class Nodes:
    """The nodes, over a mind and a ticket store. The store is made when it is first needed."""

    def __init__(self, mind: Mind, store: Callable[[], TicketStore]) -> None:
        self._mind = mind
        self._store = store

    # -- listening

    async def hear(self, state: PMState) -> Update:
        """Take in everything that the caller said since the last time, and what it means."""
        new = _unheard(state)
        if not new:
            return {"intent": "", "words": ""}
        slots = dict(state.get("slots") or {})
        told, told_now = list(state.get("told") or []), list[str]()
        intent: Intent = ""
        for message in new:  # more than one where a barge-in came before they were taken in
            text = message.text[:MAX_CHARS]
            meant = await self._mind.understand(text, asking=state.get("asking") or "", told=told)
            _take_in(slots, meant, told)
            told = [slot for slot in SLOTS if slot in meant.slots] or told
            told_now += [slot for slot in told if slot in meant.slots and slot not in told_now]
            if not (told_now and meant.intent in _EMPTY_WORDS):
                intent = meant.intent
        words_said = " ".join(message.text for message in new)[:MAX_CHARS]
        update: Update = {"heard": new[-1].id, "intent": intent, "words": words_said}
        return {**update, "slots": slots, "told": told_now or told}

    # -- speaking

    async def greet(self, state: PMState) -> Update:
        """Say who is there and ask the first thing."""
        return await self._ask(state, words.GREETING)

    async def ask(self, state: PMState) -> Update:
        """Say what was noted, then ask for the first slot that is missing."""
        slots = state.get("slots") or {}
        match state.get("intent"):
            case "unheard":
                lead = words.UNHEARD
            case "foreign":
                lead = words.FOREIGN
            case "unclear":
                lead = words.UNCLEAR
            case "correct" if not _told_now(state):
                lead = words.DROPPED
            case "update" | "correct" | "finish" | "none":
                lead = words.noted(slots, _told_now(state))
            case _:
                lead = "Okay."
        return await self._ask(state, lead)

    async def explain(self, state: PMState) -> Update:
        """Help."""
        return await self._ask(state, words.HELP)

    async def repeat(self, state: PMState) -> Update:
        """Say the last answer again, as it was."""
        last = next((m.text for m in reversed(_answers(state)) if m.text), "")
        return {"messages": [AIMessage(last)]} if last else await self._ask(state, words.GREETING)

    async def recall(self, state: PMState, config: RunnableConfig) -> Update:
        """What this user said and was promised in earlier calls."""
        user_id, session_id = _who(config)
        if not user_id:
            return await self._ask(state, words.NOBODY)
        try:
            told = await asyncio.to_thread(self._look_back, state, user_id, session_id)
        except (sqlite3.Error, OSError) as exc:
            log.warning("the notes cannot be read", extra={"error": repr(exc)})
            told = words.NO_NOTES
        return await self._ask(state, told)

    async def hold(self, state: PMState) -> Update:
        """Somebody talks on while a human decides; then the human is asked again."""
        return {"messages": [AIMessage(words.waiting(state))]}

    # -- planning

    async def risks(self, state: PMState) -> Update:
        """One branch: what may go wrong."""
        return {"findings": {"risks": planning.risks(state.get("slots") or {})}}

    async def questions(self, state: PMState) -> Update:
        """The other branch: what is still to be found out."""
        return {"findings": {"questions": planning.open_questions(state.get("slots") or {})}}

    async def propose(self, state: PMState) -> Update:
        """Both branches together: tickets for a human to look at, or none."""
        slots, findings = state.get("slots") or {}, state.get("findings") or {}
        remark = state.get("remark") or ""
        if remark:
            tickets = planning.revise(state.get("proposal") or [], remark)
            lead = "I changed it."
        else:
            tickets = planning.propose(slots, findings, state.get("settled") or [])
            noted = words.noted(slots, _told_now(state)) if state.get("intent") != "" else ""
            told = [*findings.get("risks", ())[:1], *findings.get("questions", ())[:1]]
            lead = " ".join(["Thank you.", noted, *told]).replace("  ", " ").strip()
        update: Update = {
            "planned": (state.get("planned") or {}) if remark else slots,
            "proposal": tickets,
            "number": (state.get("number") or 0) + 1,
            "remark": "",
            "problem": "",
            "asking": "",
        }
        if not tickets:
            return {**update, "outcome": f"{lead} There is nothing to make a ticket of."}
        text = (
            f"{lead} I propose {words.count(len(tickets), 'ticket')}: {words.titles(tickets)}. "
            "I will ask a colleague to approve. One moment."
        )
        return {**update, **await self._say(state, text)}

    async def approve(
        self, state: PMState
    ) -> Command[Literal["create", "propose", "approve", "summarise"]]:
        """Ask a human. Runs again from its first line on resume: no effect before `interrupt`."""
        proposal, number = state.get("proposal") or [], state.get("number") or 0
        asked = planning.request(proposal, number=number, problem=state.get("problem") or "")
        decision = planning.decided(interrupt(asked), proposal)
        settled = [*(state.get("settled") or []), *(t["title"] for t in proposal)]
        match decision.type:
            case "accept" | "edit":
                approved = list(decision.tickets)
                settled += [t["title"] for t in approved if t["title"] not in settled]
                update: Update = {"approved": approved, "proposal": [], "settled": settled}
                return Command(goto="create", update=update)
            case "respond":
                update = {"remark": decision.remark, "settled": settled}
                return Command(goto="propose", update=update)
            case "ignore":
                outcome = "My colleague decided against the tickets, so I created none."
                update = {"proposal": [], "settled": settled, "outcome": outcome}
                return Command(goto="summarise", update=update)
            case "unusable":
                return Command(goto="approve", update={"problem": decision.problem})

    async def create(self, state: PMState) -> Update:
        """Order the approved tickets; `tools` carries it out."""
        number = state.get("number") or 0
        args = {"tickets": state.get("approved") or [], "proposal": number}
        call = {"name": "create_tickets", "args": args, "id": f"tickets-{number}"}
        return {"orders": [AIMessage("", tool_calls=[{**call, "type": "tool_call"}])]}

    async def summarise(self, state: PMState, config: RunnableConfig) -> Update:
        """Keep the stand-up, say what came of it, and ask whether there is more."""
        outcome, approved = state.get("outcome") or "", state.get("approved") or []
        if approved:
            made = _created(state.get("orders") or [])
            outcome, approved = made or words.NOT_CREATED, [] if made else approved
        await self._keep(state, config)
        more = "" if state.get("intent") == "goodbye" else words.ANYTHING_ELSE
        said = await self._say(state, f"{outcome} {more}")
        return {**said, "approved": approved, "outcome": "", "orders": [], "asking": ""}

    async def part(self, state: PMState, config: RunnableConfig) -> Update:
        """Keep what was said, and say good-bye."""
        await self._keep(state, config)
        return {**await self._say(state, words.GOODBYE), "over": True}

    # -- inside

    async def _ask(self, state: PMState, lead: str) -> Update:
        slot = missing(state)
        fresh = not state.get("slots")
        if slot is None:
            unsure = state.get("intent") in {"unclear", "help"}
            question = words.ADD_SOMETHING if unsure else words.ANYTHING_ELSE
        else:
            question = words.QUESTIONS[slot]
            if fresh and state.get("intent") == "hello":
                lead = "Hello."
        return {**await self._say(state, f"{lead} {question}".strip()), "asking": slot or ""}

    async def _say(self, state: PMState, text: str) -> Update:
        coaching = [str(remark) for remark in state.get("coaching") or []]
        for remark in coaching:
            if found := re.match(_ASK_ABOUT, remark.strip(), re.IGNORECASE):
                text = f"{text} And what about {found[1].rstrip('.?! ')}?"
        messages = await self._mind.word(" ".join(text.split()), coaching=coaching)
        return {"messages": messages, "coaching": []}

    def _look_back(self, state: PMState, user_id: str, session_id: str) -> str:
        said = (state.get("words") or "").lower()
        store, now = self._store(), state.get("slots") or {}
        told: list[str] = []
        if "ticket" not in said:
            which = ["blockers"] if "block" in said else list(SLOTS)
            standup = store.last_standup(user_id, besides=session_id)
            if which == ["blockers"] and "last" not in said and "blockers" in now:
                told.append(f"Today you told me: {words.noted(now, which)}")
            elif standup is None:
                told.append(words.NO_MEMORY)
            else:
                told.append(f"Last time you told me: {words.noted(standup, which)}")
        if "block" not in said:
            tickets = store.open_tickets(user_id)
            if tickets:
                named = words.listed([ticket.title for ticket in tickets])
                told.append(f"You have {words.count(len(tickets), 'open ticket')}: {named}.")
            elif "ticket" in said:
                told.append("You have no open tickets.")
        return " ".join(told)

    async def _keep(self, state: PMState, config: RunnableConfig) -> None:
        user_id, session_id = _who(config)
        slots = state.get("slots") or {}
        if not user_id or not any(slots.values()):
            return
        store = self._store()
        try:
            await asyncio.to_thread(
                store.save_standup, slots, user_id=user_id, session_id=session_id
            )
        except (sqlite3.Error, OSError) as exc:  # a full disk ends no call
            log.warning("a stand-up was not kept", extra={"error": repr(exc)})


def ticket_tool(store: Callable[[], TicketStore]) -> BaseTool:
    """The tool that `tools` calls."""

    @tool
    async def create_tickets(
        tickets: list[dict[str, str]], proposal: int, config: RunnableConfig
    ) -> str:
        """Create the approved tickets of a proposal; again: the same tickets, none twice."""
        user_id, session_id = _who(config)
        made = await asyncio.to_thread(
            store().create,
            tickets,
            batch=f"{session_id}:{proposal}",
            user_id=user_id,
            session_id=session_id,
        )
        return json.dumps([{"number": t.number, "title": t.title} for t in made])

    return create_tickets


def after_hearing(state: PMState) -> list[str]:
    """Which way a turn goes; two names are branches that run at once."""
    intent = state.get("intent")
    if state.get("over"):
        return ["__end__"]
    if state.get("approved"):
        return ["create"]  # a barge-in came between the approval and the tickets
    if intent == "goodbye":
        return ["part"]
    if state.get("proposal"):
        return ["propose"] if state.get("remark") else ["hold"]
    if state.get("outcome"):
        return ["summarise"]
    if not intent:
        return ["ask"] if _answers(state) else ["greet"]
    if intent in {"help", "repeat", "recall"}:
        return [{"help": "explain"}.get(intent, intent)]
    if missing(state) is None and state.get("slots") != state.get("planned"):
        return ["risks", "questions"]
    if intent == "finish" or (_told_all(state) and intent in _ENDS):
        return ["part"]
    return ["ask"]


def after_proposing(state: PMState) -> Literal["approve", "summarise"]:
    """Nothing to approve: nobody is asked."""
    return "approve" if state.get("proposal") else "summarise"


def after_summing_up(state: PMState) -> Literal["part", "__end__"]:
    """A good-bye that came before the tickets were made is answered after them."""
    return "part" if state.get("intent") == "goodbye" else "__end__"


def _take_in(slots: dict[str, list[str]], meant: Understood, told: list[str]) -> None:
    replace = meant.intent == "correct"
    for slot, items in meant.slots.items():
        slots[slot] = _joined([] if replace else slots.get(slot, []), items)
    if replace and not meant.slots and told:
        slots.pop(told[-1], None)  # "scratch that": it is asked for again
    if meant.intent == "finish" and any(slots.values()):
        for slot in SLOTS:
            slots.setdefault(slot, [])


def _told_all(state: PMState) -> bool:
    return missing(state) is None


def _unheard(state: PMState) -> list[HumanMessage]:
    new: list[HumanMessage] = []
    for message in reversed(state.get("messages") or []):
        if message.id is not None and message.id == state.get("heard"):
            break
        if isinstance(message, HumanMessage):
            new.append(message)
    return new[::-1]


def _answers(state: PMState) -> list[AIMessage]:
    return [m for m in state.get("messages") or [] if isinstance(m, AIMessage)]


def _told_now(state: PMState) -> list[str]:
    if state.get("intent") in {"update", "correct", "finish", "none"}:
        slots = state.get("slots") or {}
        return [slot for slot in state.get("told") or [] if slot in slots]
    return []


def _joined(old: list[str], new: list[str]) -> list[str]:
    """Said twice counts once."""
    by_text = {item.casefold(): item for item in [*old, *new]}
    return list(by_text.values())[:MAX_ITEMS]


def _created(orders: list[AnyMessage]) -> str:
    """What was created, as a sentence; "" when the tool failed: the next turn tries again."""
    answer = next((m for m in orders if isinstance(m, ToolMessage)), None)
    if answer is None or answer.status == "error":
        return ""
    made = json.loads(answer.text)
    named = words.listed([f"number {t['number']}, {t['title']}" for t in made])
    return f"Approved. I created {words.count(len(made), 'ticket')}: {named}."


def _who(config: RunnableConfig) -> tuple[str, str]:
    """User and session; a run without a session is known by its thread."""
    known: Mapping[str, Any] = config.get("configurable") or {}
    session_id = str(known.get("session_id") or known.get("thread_id") or "")
    return str(known.get("user_id") or ""), session_id
