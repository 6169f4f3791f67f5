"""Drawing a text chat with an agent: what both wrote, how fast it answered, and how to go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard.ui import bridge, feedback, nav
from dashboard.ui import format as fmt
from services.agents.text_chat import TextChat
from services.errors import NotFoundError, SwitchboardError
from services.livekit.synthetic_participant import TEXT_LIMIT

CHOSEN: Final = "agents.chat"  # the session id of the chat that this browser session looks at
_TEXT: Final = "agents.chat.text"
_FAILED: Final = "agents.chat.failed"
_HEIGHT_PX: Final = 380
_STATES: Final = {
    "": (":material/hourglass_top:", "waiting for agent", "gray"),
    "initializing": (":material/hourglass_top:", "initializing", "gray"),
    "listening": (":material/hearing:", "listening", "green"),
    "thinking": (":material/psychology:", "thinking", "blue"),
    "speaking": (":material/edit_note:", "writing", "blue"),
}


def chosen() -> str:
    """The session id of the chat to show, "" for none."""
    return str(st.query_params.get("chat") or st.session_state.get(CHOSEN, ""))


def choose(session_id: str) -> None:
    """Show this chat from now on; "" shows none."""
    st.session_state[CHOSEN] = session_id
    if session_id:
        st.query_params["chat"] = session_id
    elif "chat" in st.query_params:
        del st.query_params["chat"]


def start(agent_name: str) -> None:
    """Begin a chat with the agent and show it; what goes wrong is drawn where the button is."""
    chats = bridge.runtime().chats
    st.session_state.pop(_FAILED, None)
    try:
        chat = bridge.write(
            lambda caller: chats.start(agent_name, user_id=caller.name, actor=caller)
        )
    except SwitchboardError as error:
        st.session_state[_FAILED] = error
    else:
        choose(chat.session_id)


def show_failure() -> None:
    """Draw why the last action on a chat failed."""
    error: SwitchboardError | None = st.session_state.get(_FAILED)
    if error is not None:
        feedback.show_error(error, key=_FAILED, retry=False)


def panel(session_id: str) -> None:
    """The chat as it stands, with its box to write in."""
    try:
        chat = bridge.runtime().chats.get(session_id)
    except NotFoundError as error:
        feedback.show_error(error, key="agents.chat.gone")
        nav.link("session", "Open session", icon=":material/forum:", id=session_id)
        return
    _heading(chat)
    _lines(chat)
    show_failure()
    st.chat_input(
        "This chat has ended" if chat.over else f"Message {chat.agent_name}",
        key=_TEXT,
        max_chars=TEXT_LIMIT,
        disabled=bool(chat.over),
        on_submit=_write,
        args=(session_id,),
    )


def _heading(chat: TextChat) -> None:
    icon, word, colour = _STATES.get(chat.agent_state, _STATES[""])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Chat with {fmt.md(chat.agent_name)}", anchor=False, width="content")
        if chat.over:
            st.badge(fmt.md(chat.over), icon=":material/check:", color="gray")
        else:
            st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]
        st.space("stretch")
        nav.link("session", "Open session", icon=":material/forum:", id=chat.session_id)
        if chat.over:
            st.button("Close chat", key="agents.chat.close", on_click=choose, args=("",))
        else:
            st.button(
                "End chat",
                key="agents.chat.end",
                icon=":material/call_end:",
                on_click=_end,
                args=(chat.session_id,),
                help="The agent leaves and the session ends.",
            )


def _lines(chat: TextChat) -> None:
    with st.container(height=_HEIGHT_PX, autoscroll=True, border=True, key="agents.chat.lines"):
        if not chat.lines:
            st.caption("No messages yet. The agent greets you first.")
        for line in chat.lines:
            agent = line.by == "agent"
            icon = ":material/smart_toy:" if agent else ":material/person:"
            with st.chat_message("assistant" if agent else "user", avatar=icon):
                st.markdown(fmt.md(line.text))
                if line.answered_ms is not None:
                    st.caption(f"{line.answered_ms:,.0f} ms")


def _write(session_id: str) -> None:
    text = str(st.session_state.get(_TEXT) or "")
    chats = bridge.runtime().chats
    _attempt(lambda: bridge.write(lambda caller: chats.write(session_id, text, actor=caller)))


def _end(session_id: str) -> None:
    chats = bridge.runtime().chats
    _attempt(lambda: bridge.write(lambda caller: chats.end(session_id, actor=caller)))


def _attempt(do: Callable[[], object]) -> None:
    st.session_state.pop(_FAILED, None)
    try:
        do()
    except SwitchboardError as error:
        st.session_state[_FAILED] = error
