"""Drawing the interrupts of a session, each with the answers that its graph allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from dashboard.agents import json_form
from dashboard.agents.commands import see_done
from dashboard.ui import bridge, feedback, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.clock import utc_now
from services.errors import InvalidInputError
from services.store.agent_records import InterruptRecord, InterruptStatus

_WORDS: Final = {
    InterruptStatus.ANSWERED: ("blue", "resuming"),
    InterruptStatus.RESUMED: ("green", "answered"),
    InterruptStatus.GONE: ("gray", "expired"),
}
_DECISIONS: Final = {
    "accept": "approved",
    "edit": "edited and approved",
    "respond": "replied",
    "ignore": "rejected",
}
_PAST: Final = 10
_LINES: Final = 40


def asked(interrupts: tuple[InterruptRecord, ...]) -> None:
    """The pending interrupts first, then the latest answered ones."""
    pending = [one for one in interrupts if one.status is InterruptStatus.PENDING]
    for one in pending:
        _question(one)
    past = [one for one in interrupts if one.status is not InterruptStatus.PENDING]
    for one in past[-_PAST:]:
        colour, word = _WORDS[one.status]
        by = f" by {fmt.md(one.answered_by)}" if one.answered_by else ""
        kind = _decision(one)
        st.markdown(
            f":{colour}-badge[{word}] {fmt.md(_action(one))} "
            f":small[:gray[{fmt.md(kind)}{by} {viewer.moment(one.answered_at)}]]"
        )


def _question(one: InterruptRecord) -> None:
    key = f"answer.{one.interrupt_id}"
    value = one.value if isinstance(one.value, dict) else {}
    config = value.get("config")
    allowed: dict[str, Any] = config if isinstance(config, dict) else {}
    with st.container(border=True, key=f"{key}.box"):
        age = fmt.ago(one.asked_at, now=utc_now())
        st.markdown(
            f":violet[:material/front_hand:] **{fmt.md(_action(one))}**  \n"
            f":small[:gray[Asked by {_asker(one)}, {age}]]"
        )
        description = value.get("description")
        if isinstance(description, str) and description:
            st.markdown("  \n".join(map(fmt.md, description.splitlines()[:_LINES])))
        args = _args(one)
        with st.container():
            edited = _edited(args, key=key, disabled=not allowed.get("allow_edit", True))
        if edited is not None and edited != (args,):
            st.caption(":material/edit: Approve sends the arguments as edited here.")
        reply = ""
        if allowed.get("allow_respond", True):
            reply = st.text_input(
                "Reply to the agent",
                key=f"{key}.remark",
                placeholder="e.g. Only create the first",
            )
        with st.container(horizontal=True):
            as_asked = bool(allowed.get("allow_accept", True))
            if as_asked or allowed.get("allow_edit", True):
                accepted = _accepted(one, args, edited, as_asked=as_asked)
                _button("Approve", key, one, accepted, icon="check", slug="accept")
            if allowed.get("allow_respond", True):
                _button("Respond", key, one, _reply(reply), icon="reply", slug="respond")
            if allowed.get("allow_ignore", True):
                _button("Reject", key, one, _reject, icon="block", slug="ignore")
        show_failure(key)


def _edited(args: Any, *, key: str, disabled: bool) -> tuple[Any] | None:
    """The arguments as they stand in the form; None: they cannot be read, and it says why."""
    try:
        return (json_form.arguments(args, key=f"{key}.args", disabled=disabled),)
    except InvalidInputError as error:
        feedback.show_error(error, key=f"{key}.bad")
        return None


def _accepted(
    one: InterruptRecord, args: Any, edited: tuple[Any] | None, *, as_asked: bool
) -> Callable[[], dict[str, Any]]:
    def decision() -> dict[str, Any]:
        if edited is None:
            raise InvalidInputError(
                "The arguments are not valid JSON.", hint="Correct the marked field."
            )
        if edited != (args,):
            return {"type": "edit", "args": {"action": one.action, "args": edited[0]}}
        if not as_asked:
            raise InvalidInputError(
                "This interrupt can't be approved unchanged.", hint="Edit the arguments first."
            )
        return {"type": "accept", "args": None}

    return decision


def _reject() -> dict[str, Any]:
    return {"type": "ignore", "args": None}


def _reply(text: str) -> Callable[[], dict[str, Any]]:
    def decision() -> dict[str, Any]:
        if not text.strip():
            raise InvalidInputError("The reply is empty.", hint="Enter what the agent should do.")
        return {"type": "respond", "args": text.strip()}

    return decision


def _button(
    label: str,
    key: str,
    one: InterruptRecord,
    decision: Callable[[], dict[str, Any]],
    *,
    icon: str,
    slug: str,
) -> None:
    clicked = st.button(
        label,
        key=f"{key}.{slug}",
        icon=f":material/{icon}:",
        type="primary" if slug == "accept" else "secondary",
    )
    if clicked:
        attempt(key, lambda: _answer(one, decision()), done="Answer sent")


def _answer(one: InterruptRecord, decision: dict[str, Any]) -> None:
    commands = bridge.runtime().jobs.commands
    see_done(
        bridge.write(
            lambda caller: commands.answer(one.session_id, one.interrupt_id, decision, actor=caller)
        )
    )


def _asker(one: InterruptRecord) -> str:
    return f"node “{fmt.md(one.node)}”" if one.node else "the graph"


def _decision(one: InterruptRecord) -> str:
    kind = str(one.decision.get("type", "")) if isinstance(one.decision, dict) else ""
    return _DECISIONS.get(kind, kind)


def _action(one: InterruptRecord) -> str:
    return one.action or "Question"


def _args(one: InterruptRecord) -> Any:
    request = one.value.get("action_request") if isinstance(one.value, dict) else None
    return request.get("args", {}) if isinstance(request, dict) else one.value
