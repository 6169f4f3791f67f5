"""Inspecting a pasted token: its identity, permissions, validity and signature."""

from __future__ import annotations

from typing import Final, Literal

import streamlit as st

from dashboard.tokens import page as tokens
from dashboard.tokens.token_form import HOLDERS
from dashboard.tokens.token_grants import GROUPS, SOURCES, allowed
from dashboard.ui import bridge, feedback, viewer
from dashboard.ui import format as fmt
from dashboard.ui.details import facts_table
from services.clock import utc_now
from services.errors import InvalidInputError
from services.livekit.tokens import DecodedToken, Holder, Signature, Validity, holder_of

Colour = Literal["red", "orange", "green", "gray", "blue"]

_PASTE: Final = "tokens.paste"
_FOUND: Final = "tokens.found"
_HOLDER: Final = "tokens.found.holder"
_SHOWN_CHARS: Final = 2_000

_SIGNATURE: Final[dict[Signature, tuple[Colour, str, str, str]]] = {
    Signature.VALID: (
        "green",
        ":material/verified:",
        "Signature valid",
        "Signed with this server's API key and unchanged.",
    ),
    Signature.WRONG: (
        "red",
        ":material/gpp_bad:",
        "Signature invalid",
        "The token names this server's API key, but was not signed with its secret. It was changed, "
        "or signed with an old secret. LiveKit rejects it.",
    ),
    Signature.UNKNOWN_KEY: (
        "gray",
        ":material/help:",
        "Unknown API key",
        "The token was signed with another API key, so its signature can't be verified. This LiveKit "
        "server rejects it.",
    ),
    Signature.REFUSED: (
        "red",
        ":material/gpp_bad:",
        "Algorithm rejected",
        "LiveKit accepts only HS256 signatures and rejects this token.",
    ),
}
_SOURCES: Final[dict[str, str]] = {source.value: label for source, label in SOURCES.items()}
_VALIDITY: Final[dict[Validity, tuple[Colour, str, str]]] = {
    Validity.NOW: ("green", ":material/timer:", "Valid now"),
    Validity.NOT_YET: ("orange", ":material/schedule:", "Not valid yet"),
    Validity.EXPIRED: ("red", ":material/timer_off:", "Expired"),
    Validity.FOR_EVER: ("red", ":material/all_inclusive:", "Never expires"),
}


def look() -> None:
    """A field to paste into, and what the token in it says."""
    st.text_area(
        "Token",
        key=_PASTE,
        height=140,
        placeholder="eyJhbGciOi…",
        help="A token, or a link or header that contains one.",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        clicked = st.button("Inspect", key="tokens.look", type="primary", icon=":material/search:")
        st.button("Clear", key="tokens.clear", icon=":material/backspace:", on_click=_clear)
        st.caption("The token is not stored or logged.")
    if clicked:
        _read()
    match st.session_state.get(_FOUND):
        case DecodedToken() as decoded:
            _draw(decoded)
        case InvalidInputError() as error:
            feedback.show_error(error, key="tokens.look.error")


def _clear() -> None:
    st.session_state[_PASTE] = ""
    st.session_state.pop(_FOUND, None)


def _read() -> None:
    st.session_state.pop(_HOLDER, None)
    try:
        found = bridge.runtime().tokens.decode(st.session_state.get(_PASTE) or "")
    except InvalidInputError as error:
        st.session_state[_FOUND] = error
    else:
        st.session_state[_FOUND] = found


def _draw(decoded: DecodedToken) -> None:
    grid = st.grid(2, min_column_width=tokens.SIDE_PX, gap=("medium", "large"))
    with grid.cell():
        _verdict(decoded)
        _facts(decoded)
        _rights(decoded)
        _carried(decoded)
    with grid.cell():
        holder = st.selectbox(
            "Intended for",
            list(HOLDERS),
            index=list(HOLDERS).index(holder_of(decoded.says)),
            format_func=lambda holder: HOLDERS[holder],
            key=_HOLDER,
            help="Estimated from the permissions. Change it if it is wrong.",
        )
        tokens.findings(bridge.runtime().tokens.lint(decoded, holder=Holder(holder)))


def _verdict(decoded: DecodedToken) -> None:
    colour, icon, word, text = _SIGNATURE[decoded.signature]
    time_colour, time_icon, time_word = _VALIDITY[decoded.validity(utc_now())]
    with st.container(horizontal=True):
        st.badge(word, icon=icon, color=colour)
        st.badge(time_word, icon=time_icon, color=time_colour)
    st.markdown(text)
    for problem in decoded.problems:
        st.markdown(f":red[:material/error:] {fmt.md(problem)}")


def _facts(decoded: DecodedToken) -> None:
    says, now = decoded.says, utc_now()
    begins = decoded.not_before or decoded.issued_at
    ends = viewer.moment(decoded.expires_at) if decoded.expires_at else "never"
    until = f" ({fmt.until(decoded.expires_at, now=now)})" if decoded.expires_at else ""
    rows = [
        ("Identity", fmt.code(says.identity)),
        ("Display name", fmt.md(says.name) or fmt.ABSENT),
        ("Participant kind", fmt.md(says.kind)),
        ("Room", fmt.code(says.room)),
        ("Valid from", viewer.moment(begins)),
        ("Valid until", f"{ends}{until}"),
        ("API key", fmt.code(decoded.issuer)),
        ("Algorithm", fmt.code(decoded.algorithm or "none")),
    ]
    facts_table(rows, alt="Details of the token", columns=2)
    st.caption(f"Times in {fmt.md(viewer.zone_name())}")


def _rights(decoded: DecodedToken) -> None:
    grants = decoded.says.grants
    st.header("Permissions", anchor=False)
    lines = []
    for group in GROUPS:
        for right in allowed(grants, group):
            only = ""
            if right.name == "can_publish" and grants.can_publish_sources:
                sources = [_SOURCES.get(name, name) for name in grants.can_publish_sources]
                only = f" – only {fmt.md(fmt.listing(sources).lower())}"
            lines.append(f"- {group.icon} **{right.label}** :gray[{right.text}]{only}")
    st.markdown("\n".join(lines) if lines else "None")
    if decoded.ignored:
        names = fmt.listing([fmt.code(name) for name in decoded.ignored], limit=10)
        st.caption(f"Unknown claims (ignored by LiveKit): {names}")


def _carried(decoded: DecodedToken) -> None:
    says = decoded.says
    if says.metadata:
        st.markdown("**Metadata**")
        st.code(_short(says.metadata), language=None, wrap_lines=True)
    if says.attributes:
        st.markdown("**Attributes**")
        lines = "\n".join(f"{name}={value}" for name, value in says.attributes.items())
        st.code(_short(lines), language=None, wrap_lines=True)
    if says.room_config is not None and says.room_config.agents:
        names = [fmt.code(agent.agent_name) for agent in says.room_config.agents]
        st.markdown(f"**Dispatches agents when it creates the room:** {fmt.listing(names)}")
    with st.expander("Claims", key="tokens.found.raw", icon=":material/data_object:"):
        st.json({"header": dict(decoded.header), "claims": dict(decoded.claims)}, expanded=3)


def _short(text: str) -> str:
    return fmt.clip(fmt.plain(text), _SHOWN_CHARS)
