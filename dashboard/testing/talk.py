"""Drawing a test session: whom to call and how, what it does now, and what came of it."""

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
_MODES: Final = {"voice": "By voice", "text": "In text"}
_PROBLEMS: Final = (
    Kind.RUN_FAILED,
    Kind.AGENT_ERROR,
    Kind.AGENT_REDISPATCHED,
    Kind.REDISPATCH_EXHAUSTED,
)
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
            "No agent is named in langgraph.json.",
            hint="Name one, as docs/your-own-agent.md shows.",
            icon=":material/smart_toy:",
        )
        return None
    _seed(names)
    agent = st.selectbox("Agent", names, key=AGENT)
    mode = st.segmented_control(
        "How", list(_MODES), format_func=_MODES.__getitem__, key=MODE, required=True
    )
    chosen: Literal["voice", "text"] = "text" if mode == "text" else "voice"
    with st.expander("Options", icon=":material/tune:", key=f"{_KEY}.options"):
        presets.choice()
        grid = st.grid(2, min_column_width=_FIELD_PX)
        user = grid.text_input(
            "User id",
            max_chars=200,
            key=USER,
            help="Who calls, as the agent is told. It remembers users by this.",
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
            help="Everybody in the room can read it.",
        )
        presets.keeping()
        st.caption("The address of this page names agent, mode and user, too.")
    st.query_params.update({"agent": str(agent), "mode": chosen, "user": user})
    try:
        metadata = _metadata(text)
    except InvalidInputError as error:
        feedback.show_error(error, key=f"{_KEY}.metadata.error")
        return None
    if not user.strip():
        feedback.show_error(
            InvalidInputError("The user id is empty.", hint="Write who calls."),
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
        raise InvalidInputError(f"The metadata is not JSON: {exc}.", hint="Correct it.") from None
    if not isinstance(value, dict):
        raise InvalidInputError(
            "The metadata is not a JSON object.", hint='Write it like {"key": "value"}.'
        )
    return value


def summary(session_id: str) -> None:
    """What came of a session: its turns, how fast it answered, its way, and what went wrong."""
    store = bridge.runtime().store
    turns = bridge.read(lambda: store.agents.turns_of(session_id))
    nodes = bridge.read(
        lambda: store.events(session_id=session_id, kinds=(Kind.NODE_STARTED,), limit=_NODES)
    )
    problems = bridge.read(lambda: store.events(session_id=session_id, kinds=_PROBLEMS))
    answers = [turn.answer_ms for turn in turns if turn.answer_ms is not None]
    grid = st.grid(3, min_column_width=120)
    grid.metric("Turns", fmt.number(_asked(turns)), border=True)
    grid.metric(
        "Median answer",
        fmt.latency(median(answers) / 1000) if answers else fmt.ABSENT,
        border=True,
    )
    grid.metric("Problems", fmt.number(len(problems)), border=True)
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
    return f"**{problem.event.kind.value.replace('_', ' ')}** {fmt.md(str(said))}"
