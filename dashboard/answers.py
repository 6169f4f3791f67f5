"""Drawing what a session's graph asks of a human, and taking the answer."""

from __future__ import annotations

import json
from typing import Any, Final

import streamlit as st

from dashboard import bridge, viewer
from dashboard import format as fmt
from dashboard.act import attempt, show_failure
from dashboard.agent_session import see_done
from services.clock import utc_now
from services.errors import BadInputError
from services.store.agent_records import InterruptRecord, InterruptStatus

_WORDS: Final = {
    InterruptStatus.ANSWERED: ("blue", "answer under way"),
    InterruptStatus.RESUMED: ("green", "answered"),
    InterruptStatus.GONE: ("gray", "no longer asked"),
}
_PAST: Final = 10
_LINES: Final = 40


def asked(session_id: str, interrupts: tuple[InterruptRecord, ...]) -> None:
    """Open questions first, each with the answers that its graph allows; then the earlier ones."""
    pending = [one for one in interrupts if one.status is InterruptStatus.PENDING]
    for one in pending:
        _question(session_id, one)
    past = [one for one in interrupts if one.status is not InterruptStatus.PENDING]
    for one in past[-_PAST:]:
        colour, word = _WORDS[one.status]
        by = f" by {fmt.md(one.answered_by)}" if one.answered_by else ""
        kind = one.decision.get("type", "") if isinstance(one.decision, dict) else ""
        st.markdown(
            f":{colour}-badge[{word}] {fmt.md(_action(one))} "
            f":small[:gray[{fmt.md(kind)}{by} {viewer.moment(one.answered_at)}]]"
        )


def _question(session_id: str, one: InterruptRecord) -> None:
    key = f"answer.{one.interrupt_id}"
    value = one.value if isinstance(one.value, dict) else {}
    config = value.get("config")
    allowed: dict[str, Any] = config if isinstance(config, dict) else {}
    with st.container(border=True, key=f"{key}.box"):
        age = fmt.ago(one.asked_at, now=utc_now())
        st.markdown(
            f":violet[:material/front_hand:] **{fmt.md(_action(one))}**  \n"
            f":small[:gray[asked by {fmt.md(one.node or 'the graph')} {age}]]"
        )
        description = value.get("description")
        if isinstance(description, str) and description:
            st.markdown("  \n".join(map(fmt.md, description.splitlines()[:_LINES])))
        args = _args(one)
        text = st.text_area(
            "Arguments, as JSON",
            json.dumps(args, indent=2, ensure_ascii=False),
            key=f"{key}.args",
            disabled=not allowed.get("allow_edit", True),
            height="content",
        )
        remark = ""
        if allowed.get("allow_respond", True):
            remark = st.text_input(
                "Remark to the agent", key=f"{key}.remark", placeholder="what it should do instead"
            )
        with st.container(horizontal=True):
            if allowed.get("allow_accept", True):
                _button("Accept", key, session_id, one, "accept", icon="check", primary=True)
            if allowed.get("allow_edit", True):
                _button("Accept as edited", key, session_id, one, "edit", text, icon="edit")
            if allowed.get("allow_respond", True):
                _button("Send remark", key, session_id, one, "respond", remark, icon="reply")
            if allowed.get("allow_ignore", True):
                _button("Ignore", key, session_id, one, "ignore", icon="block")
        show_failure(key)


def _button(
    label: str,
    key: str,
    session_id: str,
    one: InterruptRecord,
    kind: str,
    text: str = "",
    *,
    icon: str,
    primary: bool = False,
) -> None:
    clicked = st.button(
        label,
        key=f"{key}.{kind}",
        icon=f":material/{icon}:",
        type="primary" if primary else "secondary",
    )
    if clicked:
        attempt(key, lambda: _answer(session_id, one, kind, text), done="The agent has the answer.")


def _answer(session_id: str, one: InterruptRecord, kind: str, text: str) -> None:
    commands = bridge.runtime().jobs.commands
    decision = {"type": kind, "args": _given(one, kind, text)}
    see_done(
        bridge.write(
            lambda: commands.answer(session_id, one.interrupt_id, decision, actor=bridge.ACTOR)
        )
    )


def _given(one: InterruptRecord, kind: str, text: str) -> Any:
    if kind == "respond":
        if not text.strip():
            raise BadInputError("The remark is empty.", hint="Write what the agent should do.")
        return text.strip()
    if kind != "edit":
        return None
    try:
        args = json.loads(text)
    except ValueError as exc:
        raise BadInputError(
            f"The arguments are not JSON: {exc}.", hint="Correct them; nothing was sent."
        ) from exc
    request = one.value.get("action_request") if isinstance(one.value, dict) else {}
    action = request.get("action", "") if isinstance(request, dict) else ""
    return {"action": action, "args": args}


def _action(one: InterruptRecord) -> str:
    request = one.value.get("action_request") if isinstance(one.value, dict) else None
    action = request.get("action") if isinstance(request, dict) else None
    return str(action) if action else "A question"


def _args(one: InterruptRecord) -> Any:
    request = one.value.get("action_request") if isinstance(one.value, dict) else None
    return request.get("args", {}) if isinstance(request, dict) else one.value
