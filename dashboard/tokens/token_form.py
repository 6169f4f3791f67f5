"""The form that builds an access token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import streamlit as st

from dashboard.tokens import token_state as state
from dashboard.tokens.token_grants import (
    GROUPS,
    SOURCES,
    Group,
    Permission,
    Text,
    allowed,
    livekit_name,
)
from dashboard.ui import bridge
from services.errors import InvalidInputError
from services.livekit.tokens import PRESETS, Grants, Holder, Preset, TokenKind, TokenRequest

HOLDERS: Final = {
    Holder.PERSON: "User in a browser or an app",
    Holder.AGENT: "Agent",
    Holder.OBSERVER: "Hidden observer",
    Holder.SERVER: "Program on a server",
}
_KEEP: Final[Literal["session"]] = "session"  # the form is as it was when one comes back
_MOST: Final = 100_000
_WAIT_MOST_S: Final = 30 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the form asks for. `error` says why no request can be made of it."""

    request: TokenRequest | None
    holder: Holder
    error: InvalidInputError | None = None


def draw() -> Wish:
    """Draw the form and give what it asks for."""
    preset = _purpose()
    _who_and_where()
    grants = _rights(preset)
    _carried()
    _room_config()
    holder = Holder(state.get("holder"))
    try:
        return Wish(request=state.request(grants), holder=holder)
    except InvalidInputError as error:
        return Wish(request=None, holder=holder, error=error)


def _purpose() -> Preset:
    st.segmented_control(
        "Preset",
        list(PRESETS),
        format_func=lambda name: PRESETS[name].title,
        required=True,
        key=state.key("preset"),
        persist_state=_KEEP,
        on_change=state.preset_chosen,
    )
    preset = PRESETS[state.get("preset")]
    st.caption(preset.description)
    return preset


def _who_and_where() -> None:
    left, right = st.columns(2)
    left.text_input(
        "Identity",
        key=state.key("identity"),
        persist_state=_KEEP,
        help="Unique for each participant. A second participant with the same identity disconnects "
        "the first.",
    )
    right.text_input(
        "Display name",
        key=state.key("name"),
        persist_state=_KEEP,
        placeholder="Optional",
    )
    left.selectbox(
        "Room",
        _rooms(),
        index=None,
        key=state.key("room"),
        persist_state=_KEEP,
        accept_new_options=True,
        placeholder="Choose an open room or type a name",
        help="LiveKit creates the room when the first participant joins.",
    )
    right.selectbox(
        "Intended for",
        list(HOLDERS),
        format_func=lambda holder: HOLDERS[holder],
        key=state.key("holder"),
        persist_state=_KEEP,
        help="Who will hold the token. The check uses it; the token doesn't contain it.",
    )
    amount, unit, kind = st.columns([1, 1, 2])
    amount.number_input(
        "Valid for",
        min_value=1,
        max_value=_MOST,
        key=state.key("ttl"),
        persist_state=_KEEP,
        help="How long the token can be used to join. Connected participants can stay longer.",
    )
    unit.selectbox("Unit", list(state.UNITS), key=state.key("ttl.unit"), persist_state=_KEEP)
    kind.selectbox(
        "Participant kind",
        [kind.value for kind in TokenKind],
        key=state.key("kind"),
        persist_state=_KEEP,
        disabled=not state.get("grant.room_join"),
        help="The participant kind in LiveKit. Other participants can see it.",
    )


def _rooms() -> list[str]:
    open_now = {view.name for view in bridge.runtime().rooms.snapshot.rooms}
    return sorted(open_now | {state.get("room") or ""} - {""})


def _rights(preset: Preset) -> Grants:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Permissions**", width="content")
        st.space("stretch")
        changed = state.grants() != preset.grants
        if changed:
            st.button(
                f"Reset to {preset.title.lower()}",
                key="tokens.rights.back",
                type="tertiary",
                icon=":material/undo:",
                on_click=state.rights_back,
            )
    before = state.grants()
    for group in GROUPS:
        count = len(allowed(before, group))
        title = f"{group.title} :gray[· {count} allowed]" if count else group.title
        with st.expander(
            title, expanded=group.name == "room", key=f"tokens.group.{group.name}", icon=group.icon
        ):
            _group(group, joins=before.room_join)
    return state.grants()


def _group(group: Group, *, joins: bool) -> None:
    for right in group.rights:
        _right(right, disabled=right.in_room and not joins)
        if right.name == "can_publish":
            st.pills(
                "Only these sources",
                list(SOURCES),
                selection_mode="multi",
                format_func=lambda source: SOURCES[source],
                key=state.key("grant.can_publish_sources"),
                persist_state=_KEEP,
                disabled=not joins,
                help="Leave empty to allow all sources.",
            )
    for text in group.texts:
        _text(text)


def _right(right: Permission, *, disabled: bool) -> None:
    st.checkbox(
        f"{right.label} :gray[– {right.text}]",
        key=state.key(f"grant.{right.name}"),
        persist_state=_KEEP,
        disabled=disabled,
        help=f"Claim: `{livekit_name(right.name)}`",
    )


def _text(text: Text) -> None:
    key = state.key(f"grant.{text.name}")
    if text.several:
        st.text_area(text.label, key=key, persist_state=_KEEP, help=text.help, height=80)
    else:
        st.text_input(text.label, key=key, persist_state=_KEEP, help=text.help)


def _carried() -> None:
    with st.expander(
        "Metadata and attributes", key="tokens.group.carried", icon=":material/data_object:"
    ):
        st.text_area(
            "Metadata",
            key=state.key("metadata"),
            persist_state=_KEEP,
            placeholder='{"customer": "4711"}',
            help="Any text, usually JSON. All participants can read it. At most 512 KiB.",
        )
        st.text_area(
            "Attributes",
            key=state.key("attributes"),
            persist_state=_KEEP,
            placeholder="language=en",
            help="One per line: name=value. At most 64 KiB in total.",
        )


def _room_config() -> None:
    with st.expander("Room configuration", key="tokens.group.config", icon=":material/tune:"):
        wanted = st.toggle(
            "Configure the room if this token creates it",
            key=state.key("config"),
            persist_state=_KEEP,
            help="Applies only to the first participant: an open room keeps its settings.",
        )
        if not wanted:
            return
        st.multiselect(
            "Dispatch agents",
            _agents(),
            key=state.key("config.agents"),
            persist_state=_KEEP,
            accept_new_options=True,
            placeholder="Choose or type a name",
            help="LiveKit dispatches them when it creates the room.",
        )
        st.text_input("Agent metadata", key=state.key("config.agent_metadata"), persist_state=_KEEP)
        columns = st.columns(3)
        for column, (name, label, text) in zip(columns, _CONFIG_NUMBERS, strict=True):
            column.number_input(
                label,
                min_value=0,
                max_value=_WAIT_MOST_S,
                value=0,
                key=state.key(f"config.{name}"),
                persist_state=_KEEP,
                help=text,
            )
        st.text_input("Room metadata", key=state.key("config.metadata"), persist_state=_KEEP)
        st.text_input(
            "Named configuration",
            key=state.key("config.name"),
            persist_state=_KEEP,
            help="The name of a room configuration that is defined in LiveKit.",
        )


_CONFIG_NUMBERS: Final = (
    (
        "empty_timeout_s",
        "Empty timeout (s)",
        "How long the room stays open if nobody joins. 0: 300 s.",
    ),
    (
        "departure_timeout_s",
        "Departure timeout (s)",
        "How long the room stays open after the last participant leaves. 0: 20 s.",
    ),
    ("max_participants", "Max participants", "0: no limit."),
)


def _agents() -> list[str]:
    return [entry.name for entry in bridge.runtime().graphs.all()]
