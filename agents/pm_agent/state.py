"""What a thread of pm-agent remembers: messages and plain JSON values, so any reader can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypedDict, get_args

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

Slot = Literal["done", "next", "blockers"]
SLOTS: Final[tuple[Slot, ...]] = get_args(Slot)

Intent = Literal[
    "", "update", "correct", "none", "skip", "finish", "goodbye",
    "help", "repeat", "recall", "hello", "yes", "unheard", "foreign", "unclear",
]  # fmt: skip
"""What the caller wants with what was said last; "" before anything was said."""


def merge(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any]:
    """By key, the newer wins: branches that run twice leave what they would leave once."""
    return {**(old or {}), **(new or {})}


class PMState(TypedDict, total=False):
    """One stand-up. A slot that is missing was not told; `[]` means that there is nothing."""

    messages: Annotated[list[AnyMessage], add_messages]
    coaching: list[str]  # remarks of an operator for the next answer
    over: bool  # good-bye was said

    heard: str  # id of the caller's last message that was taken in
    intent: Intent
    words: str  # what was said, as one text
    slots: dict[str, list[str]]
    asking: str  # the slot that was asked for, or ""
    told: list[str]  # slots that the last update filled, in order: what a correction is about

    findings: Annotated[dict[str, list[str]], merge]  # "risks" and "questions", a branch each
    planned: dict[str, list[str]]  # the slots as they were when tickets were last proposed
    number: int  # proposals so far
    proposal: list[dict[str, str]]  # tickets that wait for a human: title, kind, note
    remark: str  # what the human said instead of yes or no
    problem: str  # why the human's answer could not be used
    approved: list[dict[str, str]]  # tickets that are to be created now
    settled: list[str]  # titles that were decided on: not proposed again
    outcome: str  # what became of the last proposal, as a sentence
    orders: list[AnyMessage]  # the call of the ticket tool, then its answer


def missing(state: PMState) -> Slot | None:
    """The slot to ask for next, or None when all are told."""
    slots = state.get("slots") or {}
    return next((slot for slot in SLOTS if slot not in slots), None)
