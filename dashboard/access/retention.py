"""Drawing how long sessions are kept, whose data is deleted, and what is never kept."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.sessions.session_filters import VERDICTS
from dashboard.ui import bridge, dialogs, drafts, feedback
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.errors import SwitchboardError
from services.sessions.retention import DAYS_MOST, KEEP_TAG, NAME_MOST, RetentionRule

_KEY: Final = "access.retention"
_RULE: Final = f"{_KEY}.rule"
_USER: Final = f"{_KEY}.user"
_ANY: Final = ""


def panel() -> None:
    """The rules, one user's data, and what is blanked."""
    st.header("Retention rules", anchor=False)
    st.caption(
        "Sessions are kept forever unless a rule matches. Rules run every hour. They skip sessions "
        f"tagged {fmt.code(KEEP_TAG)}. Events are always deleted after "
        f"{bridge.runtime().settings.switchboard_event_retention_days} days; the session, its turns and its "
        "reviews remain."
    )
    try:
        rules = bridge.read(lambda: bridge.runtime().erasing.rules())
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.error")
        return
    if rules:
        _table(rules)
    _form()
    st.header("Delete a user's data", anchor=False)
    _user_form()
    st.header("Redaction", anchor=False)
    _blanked()


def user_dialog() -> None:
    """Asks before a user's data is deleted; call it on every run of the page."""
    facts = dialogs.asked(_USER)
    if facts is None:
        return
    erasing, user_id = bridge.runtime().erasing, str(facts["user_id"])
    dialogs.confirm(
        _USER,
        title=f"Delete all data of {user_id}?",
        body="This deletes every session of this user, with its transcript, notes and reviews, and "
        "what pm-agent remembers about the user. You can't undo this.",
        consequences=lambda: [
            "Sessions tagged `keep` are deleted, too.",
            "The audit log records the deletion, who requested it, and the user ID.",
        ],
        button="Delete user data",
        on_confirm=lambda: bridge.write(
            lambda caller: erasing.user(user_id, actor=caller), timeout_s=120
        ),
        done=f"Data of {fmt.code(user_id)} deleted",
    )


def _table(rules: tuple[RetentionRule, ...]) -> None:
    erasing = bridge.runtime().erasing
    rows = []
    for rule in rules:
        due = bridge.read(lambda rule=rule: erasing.due(rule))  # type: ignore[misc]
        rows.append(
            {
                "Rule": fmt.plain(rule.name),
                "Retention": fmt.count_text(rule.days, "day"),
                "Agent": fmt.plain(rule.agent_name or "any"),
                "Tag": fmt.plain(rule.tag or "any"),
                "Verdict": VERDICTS.get(rule.verdict or "", "any"),
                "Sessions due": "500 or more" if due >= 500 else fmt.number(due),
                "Created by": fmt.plain(rule.saved_by),
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Retention rules, by name")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Rule",
            [rule.name for rule in rules],
            index=None,
            format_func=fmt.plain,
            placeholder="Choose a rule",
            key=f"{_RULE}.which",
        )
        if name is not None and st.button(
            "Delete rule", key=f"{_RULE}.delete", icon=":material/delete:"
        ):
            attempt(
                f"{_RULE}.delete",
                lambda: bridge.write(lambda caller: erasing.delete_rule(name, actor=caller)),
                done=f"Rule {fmt.code(name)} deleted",
            )
    show_failure(f"{_RULE}.delete")


def _form() -> None:
    there = bridge.read(bridge.runtime().store.session_search.values)
    draft = drafts.draft_key(_RULE)
    with st.form(f"{_RULE}.form"):
        first = st.columns([3, 1], vertical_alignment="bottom")
        name = first[0].text_input(
            "New rule",
            max_chars=NAME_MOST,
            key=f"{draft}.name",
            placeholder="Name",
            help="Saving under an existing name overwrites the rule.",
        )
        days = first[1].number_input(
            "Days", min_value=1, max_value=DAYS_MOST, value=90, key=f"{draft}.days"
        )
        second = st.columns(3)
        agent = second[0].selectbox(
            "Agent", [_ANY, *there["agent_name"]], format_func=_any, key=f"{draft}.agent"
        )
        tag = second[1].selectbox(
            "Tag", [_ANY, *there["tag"]], format_func=_any, key=f"{draft}.tag"
        )
        verdict = second[2].selectbox(
            "Verdict",
            [_ANY, *VERDICTS],
            format_func=lambda one: VERDICTS.get(one, "Any"),
            key=f"{draft}.verdict",
        )
        clicked = st.form_submit_button("Save rule", icon=":material/rule:")

    def save() -> None:
        rule = RetentionRule(
            name=name,
            days=int(days),
            agent_name=agent or None,
            tag=tag or None,
            verdict=verdict or None,
        )
        erasing = bridge.runtime().erasing
        bridge.write(lambda caller: erasing.save_rule(rule, actor=caller))
        drafts.sent(_RULE)

    if clicked:
        attempt(_RULE, save, done="Rule saved. It is applied within an hour.")
    show_failure(_RULE)


def _user_form() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        user_id = st.text_input(
            "User ID", max_chars=200, key=f"{_USER}.id", placeholder="Exact user ID"
        )
        st.button(
            "Delete user data",
            key=f"{_USER}.ask",
            icon=":material/person_remove:",
            disabled=not user_id.strip(),
            on_click=dialogs.ask,
            args=(_USER,),
            kwargs={"user_id": user_id.strip()},
        )


def _blanked() -> None:
    names = bridge.runtime().store.redaction.names
    if names:
        shown = fmt.listing([fmt.code(name) for name in names])
        st.markdown(
            f":material/visibility_off: Redacted before anything is stored: {shown}. "
            "A transcript shows a placeholder such as `[card]`."
        )
    else:
        st.caption(
            "Redaction is off. `SWITCHBOARD_PII_REDACTION=card,email` redacts card numbers and email "
            "addresses before transcripts and states are stored. See docs/access.md."
        )


def _any(value: str) -> str:
    return fmt.plain(value) or "Any"
