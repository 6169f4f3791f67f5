"""Drawing who is in a room: their tracks, rights and attributes, and how to remove them."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.ui import bridge, dialogs, feedback, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import act
from services.clock import utc_now
from services.livekit.models import Participant, Permissions, Track
from services.rooms.views import RoomView
from services.store.records import Denial

_KINDS: Final = {
    "standard": (":material/person:", "standard"),
    "agent": (":material/smart_toy:", "agent"),
    "sip": (":material/call:", "SIP"),
    "ingress": (":material/input:", "ingress"),
    "egress": (":material/output:", "egress"),
}
_SHOWN: Final = 100
_NAME_CHARS: Final = 40
_REMOVE: Final = "room.remove"


def participants(view: RoomView) -> None:
    """Everyone in the room, in the order of joining."""
    seen = [p for p in view.participants if not p.is_observer]
    if not seen and view.participants_known:
        feedback.show_empty(
            "No participants.",
            hint="Create a token to join the room, or dispatch an agent below.",
            icon=":material/person_off:",
        )
    elif not seen:
        feedback.show_loading(2, height=64)
    for participant in seen[:_SHOWN]:
        _participant(view, participant)
    if len(seen) > _SHOWN:
        st.caption(f"{len(seen) - _SHOWN:,} more participants are not shown.")


def _participant(view: RoomView, participant: Participant) -> None:
    # Keyed throughout: what is open in a card stays with it when another one goes.
    key = f"room.participant.{participant.sid}"
    with st.container(border=True, key=key, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", wrap=False):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _who(participant)
            st.button(
                "Remove",
                key=f"{key}.remove",
                icon=":material/person_remove:",
                help=f"Remove {fmt.md(fmt.shorten(participant.identity, _NAME_CHARS))}",
                on_click=dialogs.ask,
                args=(_REMOVE,),
                kwargs={"identity": participant.identity},
            )
        for track in participant.tracks:
            _track(view, participant, track, key=f"{key}.{track.sid}")
        with st.expander("Details", key=f"{key}.details", type="compact"):
            _details(participant)


def _who(participant: Participant) -> None:
    icon, kind = _KINDS.get(participant.kind, (":material/help:", participant.kind))
    identity, name = participant.identity, participant.name
    st.markdown(f"{icon} **{fmt.md(fmt.shorten(identity, _NAME_CHARS))}**", width="content")
    if name and name != identity:
        st.caption(fmt.md(fmt.shorten(name, _NAME_CHARS)), width="content")
    st.badge(fmt.md(kind), color="violet" if participant.is_agent else "gray")
    if participant.agent_state:
        st.badge(fmt.md(participant.agent_state), color="blue")
    if participant.permissions is not None and participant.permissions.hidden:
        st.badge("hidden", icon=":material/visibility_off:", color="orange")
    st.caption(f"joined {fmt.ago(participant.joined_at, now=utc_now())}", width="content")


def _track(view: RoomView, participant: Participant, track: Track, *, key: str) -> None:
    actions = bridge.runtime().actions
    on, off = ("mic", "mic_off") if track.kind == "audio" else ("videocam", "videocam_off")
    what = track.source.replace("_", " ").capitalize()
    muted = " :orange-badge[muted]" if track.muted else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":material/{off if track.muted else on}: {fmt.md(what)} "
            f":small[:gray[({fmt.md(track.mime_type)})]]{muted}",
            width="content",
        )
        act(
            "Unmute" if track.muted else "Mute",
            f"{key}.mute",
            lambda: bridge.write(
                lambda caller: actions.mute_track(
                    view.name,
                    participant.identity,
                    track.sid,
                    muted=not track.muted,
                    actor=caller,
                )
            ),
            icon=f":material/{on if track.muted else off}:",
            help="Remote unmute requires `room.enable_remote_unmute` on the LiveKit server.",
            type="tertiary",
            done="Track unmuted" if track.muted else "Track muted",
        )


def _details(participant: Participant) -> None:
    st.markdown(
        f":gray[Identity] {fmt.code(participant.identity)} · "
        f":gray[SID] {fmt.code(participant.sid)} · "
        f":gray[State] {participant.state.value}"
    )
    st.markdown(f":gray[Permissions] {_rights(participant.permissions)}")
    if participant.attributes:
        st.table(
            {
                "Attribute": [fmt.md(name) for name in participant.attributes],
                "Value": [fmt.md(value) for value in participant.attributes.values()],
            },
            border="horizontal",
            hide_index=True,
            alt="Attributes of the participant",
        )
    if participant.metadata:
        st.caption("Metadata")
        st.code(participant.metadata, language="json", wrap_lines=True)


def _rights(rights: Permissions | None) -> str:
    if rights is None:
        return "unknown"
    may = {
        "subscribe": rights.can_subscribe,
        "publish": rights.can_publish,
        "send data": rights.can_publish_data,
        "update own metadata": rights.can_update_metadata,
    }
    return fmt.listing([word for word, allowed in may.items() if allowed]) or "none"


def blocked(view_name: str, denials: tuple[Denial, ...]) -> None:
    """Identities that may not rejoin, each with a button to unblock it."""
    mine = [denial for denial in denials if denial.room_name == view_name]
    if not mine:
        return
    actions = bridge.runtime().actions
    st.header("Blocked participants", anchor=False)
    for denial in mine:
        identity = denial.identity
        with st.container(horizontal=True, vertical_alignment="center"):
            who = fmt.code(identity) if identity else "everyone"
            st.markdown(
                f"{who} :gray[blocked until {viewer.moment(denial.until)}]", width="content"
            )
            act(
                "Unblock",
                f"room.allow.{identity}",
                lambda identity=identity: bridge.write(  # type: ignore[misc]
                    lambda caller: actions.unblock(view_name, identity, actor=caller)
                ),
                icon=":material/undo:",
                done=f"{who} unblocked",
            )


def remove_dialog(room_name: str) -> None:
    """Asks before a participant is removed."""
    runtime, asked = bridge.runtime(), dialogs.asked(_REMOVE)
    identity = str(asked["identity"]) if asked else ""
    dialogs.confirm(
        _REMOVE,
        title="Remove participant?",
        body=f"{fmt.code(identity)} is disconnected from the room immediately.",
        consequences=lambda: [
            "LiveKit can't revoke the token, so Switchboard blocks this identity for six hours.",
            "You can unblock it on this page.",
        ],
        button="Remove participant",
        on_confirm=lambda: bridge.write(
            lambda caller: runtime.actions.remove_participant(room_name, identity, actor=caller)
        ),
        done=f"{fmt.code(identity)} removed",
    )
