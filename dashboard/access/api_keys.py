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
    "1 year": timedelta(days=365),
    "No expiry": None,
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
            "No API keys.",
            hint="Create one for each program that calls the API. Keys are required once sign-in is on.",
            icon=":material/key:",
        )
        return
    now = utc_now()
    st.dataframe(
        pd.DataFrame([_row(key, now) for key in there]),
        hide_index=True,
        alt="API keys, newest first",
    )
    holding = {f"{key.name} ({key.id[-6:]})": key for key in there if _is_active(key, now)}
    if holding:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                "Active key",
                list(holding),
                index=None,
                placeholder="Choose a key",
                key=f"{_KEY}.which",
            )
            if chosen is not None:
                key = holding[chosen]
                st.button(
                    "Revoke key",
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
        title=f"Revoke API key {facts['name']}?",
        body="Requests with this key fail immediately. You can't undo this.",
        button="Revoke key",
        on_confirm=lambda: bridge.write(lambda caller: keys.revoke(key_id, actor=caller)),
        done="API key revoked",
    )


def _form() -> None:
    draft = drafts.draft_key(_KEY)
    with st.form(f"{_KEY}.form"):
        columns = st.columns([3, 4, 2], vertical_alignment="bottom")
        name = columns[0].text_input(
            "Name", key=f"{draft}.name", max_chars=NAME_MOST, placeholder="crm-bridge"
        )
        scopes = columns[1].multiselect(
            "Scopes",
            list(Scope),
            format_func=_words,
            key=f"{draft}.scopes",
            placeholder="Choose only what the program needs",
        )
        lasts = columns[2].selectbox("Expires after", list(_LASTS), index=1, key=f"{draft}.lasts")
        made = st.form_submit_button("Create API key", icon=":material/add:")

    def make() -> None:
        keys = bridge.runtime().keys
        record, secret = bridge.write(
            lambda caller: keys.make(name, scopes, lasts=_LASTS[lasts], actor=caller)
        )
        st.session_state[_SECRET] = _Made(record.name, secret)
        drafts.sent(_KEY)

    if made:
        attempt(_KEY, make, done="API key created")
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
        st.markdown(f":green[:material/check_circle:] **API key for** {fmt.code(made.name)}")
        st.code(made.secret, language=None)
        st.caption(
            "Copy it now: it is shown only once. Send it in the header `Authorization: Bearer …`."
        )
        st.button("Done", key=f"{_KEY}.copied", on_click=_forget)


def _forget() -> None:
    st.session_state.pop(_SECRET, None)


def _is_active(key: ApiKeyRecord, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _row(key: ApiKeyRecord, now: datetime) -> dict[str, str]:
    over = "revoked" if key.revoked_at is not None else "expired"
    return {
        "Name": fmt.plain(key.name),
        "Scopes": ", ".join(key.scopes),
        "State": "active" if _is_active(key, now) else over,
        "Expires": viewer.moment(key.expires_at) if key.expires_at else "never",
        "Last used": fmt.ago(key.last_used_at, now=now) if key.last_used_at else "never",
        "Created by": fmt.plain(key.made_by),
        "Created": viewer.moment(key.made_at),
    }
