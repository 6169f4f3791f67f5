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
    st.header("How long sessions are kept", anchor=False)
    st.caption(
        f"For ever, unless a rule fits. Rules are applied every hour; a session with the tag "
        f"{fmt.code(KEEP_TAG)} stays, whatever they say. Events of a session go after "
        f"{bridge.runtime().settings.switchboard_event_retention_days} days in any case; its row, its turns "
        "and its reviews stay."
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
    st.header("What is never kept", anchor=False)
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
        body="Every session of this user goes, with all that was said, noted and judged, and what "
        "pm-agent remembers of them. That cannot be undone.",
        consequences=lambda: [
            "Sessions with the tag `keep` go, too.",
            "The audit log keeps that it was done, by whom, and the user id.",
        ],
        button="Delete it all",
        on_confirm=lambda: bridge.write(
            lambda caller: erasing.user(user_id, actor=caller), timeout_s=120
        ),
        done=f"The data of {fmt.code(user_id)} was deleted.",
    )


def _table(rules: tuple[RetentionRule, ...]) -> None:
    erasing = bridge.runtime().erasing
    rows = []
    for rule in rules:
        due = bridge.read(lambda rule=rule: erasing.due(rule))  # type: ignore[misc]
        rows.append(
            {
                "Rule": fmt.plain(rule.name),
                "Kept for": fmt.count_text(rule.days, "day"),
                "Agent": fmt.plain(rule.agent_name or "any"),
                "Tag": fmt.plain(rule.tag or "any"),
                "Verdict": VERDICTS.get(rule.verdict or "", "any"),
                "Due now": "500 or more" if due >= 500 else fmt.number(due),
                "By": fmt.plain(rule.saved_by),
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Rules, by name")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Delete a rule",
            [rule.name for rule in rules],
            index=None,
            format_func=fmt.plain,
            placeholder="Choose one",
            key=f"{_RULE}.which",
        )
        if name is not None and st.button(
            "Delete it", key=f"{_RULE}.delete", icon=":material/delete:"
        ):
            attempt(
                f"{_RULE}.delete",
                lambda: bridge.write(lambda caller: erasing.delete_rule(name, actor=caller)),
                done=f"The rule {fmt.code(name)} was deleted.",
            )
    show_failure(f"{_RULE}.delete")


def _form() -> None:
    there = bridge.read(bridge.runtime().store.found.values)
    draft = drafts.draft_key(_RULE)
    with st.form(f"{_RULE}.form"):
        first = st.columns([3, 1], vertical_alignment="bottom")
        name = first[0].text_input(
            "New rule",
            max_chars=NAME_MOST,
            key=f"{draft}.name",
            placeholder="A name; one that exists is replaced",
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
            format_func=lambda one: VERDICTS.get(one, "any"),
            key=f"{draft}.verdict",
        )
        clicked = st.form_submit_button("Keep the rule", icon=":material/rule:")

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
        attempt(_RULE, save, done="The rule is kept; it is applied within the hour.")
    show_failure(_RULE)


def _user_form() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        user_id = st.text_input(
            "User id", max_chars=200, key=f"{_USER}.id", placeholder="Exactly as sessions name it"
        )
        st.button(
            "Delete all of it",
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
            f":material/visibility_off: Blanked before anything is written: {shown}. "
            "In a transcript it then says, for example, `[card]`."
        )
    else:
        st.caption(
            "Nothing is blanked. `SWITCHBOARD_PII_REDACTION=card,email` blanks card numbers and e-mail "
            "addresses before a transcript or a state is written; docs/access.md has the rest."
        )


def _any(value: str) -> str:
    return fmt.plain(value) or "any"
