"""Drawing API keys: make one, which is shown once; see when each was used; revoke one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.ui import bridge, dialogs, drafts, feedback, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.access.api_keys import NAME_MOST
from services.access.permissions import RULES, Scope
from services.clock import utc_now
from services.errors import SwitchboardError
from services.store.audit_records import ApiKeyRecord

_KEY: Final = "access.keys"
_SECRET: Final = f"{_KEY}.secret"
_REVOKE: Final = f"{_KEY}.revoke"
_LASTS: Final = {
    "30 days": timedelta(days=30),
    "90 days": timedelta(days=90),
    "a year": timedelta(days=365),
    "no end": None,
}


@dataclass(frozen=True, slots=True)
class _Made:
    name: str
    secret: str


def panel() -> None:
    """A form for a new key, the new one once, and all that there are."""
    keys = bridge.runtime().keys
    try:
        there = bridge.ask(lambda who: keys.all(actor=who))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.error")
        return
    _form()
    _shown_once()
    if not there:
        feedback.show_empty(
            "There is no API key.",
            hint="A program that uses /api from elsewhere needs one, once there is a login.",
            icon=":material/key:",
        )
        return
    now = utc_now()
    st.dataframe(
        pd.DataFrame([_row(key, now) for key in there]),
        hide_index=True,
        alt="API keys, newest first",
    )
    holding = {f"{key.name} ({key.id[-6:]})": key for key in there if _holds(key, now)}
    if holding:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                "Revoke", list(holding), index=None, placeholder="Choose a key", key=f"{_KEY}.which"
            )
            if chosen is not None:
                key = holding[chosen]
                st.button(
                    "Revoke it",
                    key=f"{_KEY}.ask",
                    icon=":material/block:",
                    on_click=dialogs.ask,
                    args=(_REVOKE,),
                    kwargs={"key_id": key.id, "name": key.name},
                )


def revoke_dialog() -> None:
    """Asks before a key is revoked; call it on every run of the page."""
    facts = dialogs.asked(_REVOKE)
    if facts is None:
        return
    keys, key_id = bridge.runtime().keys, str(facts["key_id"])
    dialogs.confirm(
        _REVOKE,
        title=f"Revoke the key {facts['name']}?",
        body="Programs that use it are refused at once. It cannot be given back: make a new one.",
        button="Revoke it",
        on_confirm=lambda: bridge.write(lambda caller: keys.revoke(key_id, actor=caller)),
        done="The key was revoked.",
    )


def _form() -> None:
    draft = drafts.draft_key(_KEY)
    with st.form(f"{_KEY}.form"):
        columns = st.columns([3, 4, 2], vertical_alignment="bottom")
        name = columns[0].text_input(
            "For which program", key=f"{draft}.name", max_chars=NAME_MOST, placeholder="crm-bridge"
        )
        scopes = columns[1].multiselect(
            "It may",
            list(Scope),
            format_func=_words,
            key=f"{draft}.scopes",
            placeholder="Choose what it needs, and no more",
        )
        lasts = columns[2].selectbox("For", list(_LASTS), index=1, key=f"{draft}.lasts")
        made = st.form_submit_button("Make a key", icon=":material/add:")

    def make() -> None:
        keys = bridge.runtime().keys
        record, secret = bridge.write(
            lambda caller: keys.make(name, scopes, lasts=_LASTS[lasts], actor=caller)
        )
        st.session_state[_SECRET] = _Made(record.name, secret)
        drafts.sent(_KEY)

    if made:
        attempt(_KEY, make, done="The key was made.")
    show_failure(_KEY)


def _words(scope: Scope) -> str:
    """`rooms: act on rooms`."""
    what = [rule.what for rule in RULES.values() if rule.scope is scope]
    return f"{scope.value}: {', '.join(what[:3])}{' …' if len(what) > 3 else ''}"


def _shown_once() -> None:
    made: _Made | None = st.session_state.get(_SECRET)
    if made is None:
        return
    with st.container(border=True):
        st.markdown(f":green[:material/check_circle:] **The key for** {fmt.code(made.name)}")
        st.code(made.secret, language=None)
        st.caption(
            "It is shown this once and kept nowhere: copy it now. A program sends it as "
            "`Authorization: Bearer …`."
        )
        st.button("I have copied it", key=f"{_KEY}.copied", on_click=_forget)


def _forget() -> None:
    st.session_state.pop(_SECRET, None)


def _holds(key: ApiKeyRecord, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _row(key: ApiKeyRecord, now: datetime) -> dict[str, str]:
    over = "revoked" if key.revoked_at is not None else "over"
    return {
        "Program": fmt.plain(key.name),
        "May": ", ".join(key.scopes),
        "State": "holds" if _holds(key, now) else over,
        "Until": viewer.moment(key.expires_at) if key.expires_at else "no end",
        "Last used": fmt.ago(key.last_used_at, now=now) if key.last_used_at else "never",
        "Made by": fmt.plain(key.made_by),
        "Made": viewer.moment(key.made_at),
    }
