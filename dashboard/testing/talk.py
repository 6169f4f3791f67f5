"""Drawing a test session: the agent to call and its options, and the result of the call."""

from __future__ import annotations

import json
from statistics import median
from typing import Any, Final, Literal

import streamlit as st

from dashboard.components.call import Wanted
from dashboard.testing import presets
from dashboard.testing.presets import AGENT, HOURS, HOURS_LEAST, METADATA, MODE, USER
from dashboard.ui import bridge, feedback
from dashboard.ui import format as fmt
from services.errors import InvalidInputError
from services.events import Kind
from services.store.agent_records import Turn
from services.store.records import StoredEvent

_KEY: Final = "test"
_HOURS: Final = 1.0
_MODES: Final = {"voice": "Voice", "text": "Text"}
_PROBLEMS: Final = {
    Kind.RUN_FAILED: "Graph run failed",
    Kind.AGENT_ERROR: "Agent error",
    Kind.AGENT_REDISPATCHED: "Agent redispatched",
    Kind.REDISPATCH_EXHAUSTED: "Redispatch exhausted",
}
_NODES: Final = 400
_FIELD_PX: Final = 200


def options() -> Wanted | None:
    """Whom to call: from the page's address, changed by the fields, which change the address.

    None, with the reason drawn, where nothing can be called.
    """
    runtime = bridge.runtime()
    names = [entry.name for entry in runtime.graphs.all()]
    if not names:
        feedback.show_empty(
            "No agents in langgraph.json.",
            hint="Add one as described in docs/your-own-agent.md.",
            icon=":material/smart_toy:",
        )
        return None
    _seed(names)
    agent = st.selectbox("Agent", names, key=AGENT)
    mode = st.segmented_control(
        "Mode", list(_MODES), format_func=_MODES.__getitem__, key=MODE, required=True
    )
    chosen: Literal["voice", "text"] = "text" if mode == "text" else "voice"
    with st.expander("Options", icon=":material/tune:", key=f"{_KEY}.options"):
        presets.choice()
        grid = st.grid(2, min_column_width=_FIELD_PX)
        user = grid.text_input(
            "User ID",
            max_chars=200,
            key=USER,
            help="The agent gets this ID and remembers users by it.",
        )
        hours = grid.number_input(
            "Ends after (hours)",
            min_value=HOURS_LEAST,
            max_value=float(runtime.settings.switchboard_session_max_hours),
            step=0.25,
            key=HOURS,
        )
        text = st.text_area(
            "Room metadata (JSON object)",
            placeholder="{}",
            key=METADATA,
            help="All participants can read it.",
        )
        presets.keeping()
        st.caption("The URL of this page includes agent, mode and user.")
    st.query_params.update({"agent": str(agent), "mode": chosen, "user": user})
    try:
        metadata = _metadata(text)
    except InvalidInputError as error:
        feedback.show_error(error, key=f"{_KEY}.metadata.error")
        return None
    if not user.strip():
        feedback.show_error(
            InvalidInputError("The user ID is empty.", hint="Enter a user ID."),
            key=f"{_KEY}.user.error",
        )
        return None
    return Wanted(agent=str(agent), mode=chosen, user=user.strip(), hours=hours, metadata=metadata)


def _seed(names: list[str]) -> None:
    """The fields as the address names them, unless they hold something already."""
    told = st.query_params
    most = float(bridge.runtime().settings.switchboard_session_max_hours)
    first = {
        AGENT: told["agent"] if told.get("agent") in names else names[0],
        MODE: "text" if told.get("mode") == "text" else "voice",
        USER: told.get("user", bridge.caller().name),
        HOURS: min(_HOURS, most),
        METADATA: "",
    }
    for key, value in first.items():
        st.session_state.setdefault(key, value)


def _metadata(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise InvalidInputError(
            f"The metadata is not valid JSON: {exc}.", hint='Use a form like {"key": "value"}.'
        ) from None
    if not isinstance(value, dict):
        raise InvalidInputError(
            "The metadata is not a JSON object.", hint='Use a form like {"key": "value"}.'
        )
    return value


def summary(session_id: str) -> None:
    """The result of a session: its turns, its latency, its path and its issues."""
    store = bridge.runtime().store
    turns = bridge.read(lambda: store.agents.turns_of(session_id))
    nodes = bridge.read(
        lambda: store.events(session_id=session_id, kinds=(Kind.NODE_STARTED,), limit=_NODES)
    )
    problems = bridge.read(lambda: store.events(session_id=session_id, kinds=tuple(_PROBLEMS)))
    answers = [turn.answer_ms for turn in turns if turn.answer_ms is not None]
    grid = st.grid(3, min_column_width=120)
    grid.metric("Turns", fmt.number(_asked(turns)), border=True)
    grid.metric(
        "p50 latency",
        fmt.latency(median(answers) / 1000) if answers else fmt.ABSENT,
        border=True,
    )
    grid.metric("Issues", fmt.number(len(problems)), border=True)
    if nodes:
        path = [str(node.event.data.get("node", "")) for node in nodes]
        st.markdown(f"**Path** {' → '.join(fmt.code(name) for name in path)}")
    for problem in problems:
        st.warning(_told(problem), icon=":material/warning:")


def _asked(turns: tuple[Turn, ...]) -> int:
    return sum(bool(turn.user_text) for turn in turns)


def _told(problem: StoredEvent) -> str:
    data = problem.event.data
    said = data.get("error") or data.get("message") or data.get("reason") or ""
    label = _PROBLEMS[problem.event.kind]
    return f"**{label}** {fmt.md(str(said))}" if said else f"**{label}**"
