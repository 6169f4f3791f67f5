"""Drawing alerts: what is the matter now, what was, and the rules that say so."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.ui import bridge, drafts, feedback, nav, viewer
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.alerts.rules import KINDS, NAME_MOST, QUIET_MOST_MIN, AlertRule, Severity, Watch
from services.clock import utc_now
from services.errors import SwitchboardError
from services.store.alert_store import AlertRecord

_KEY: Final = "alerts"
_RULE: Final = f"{_KEY}.rule"
_ANY: Final = ""
_HISTORY: Final = 200
_LOOKS: Final = {
    Severity.INFO: ("blue", ":material/info:"),
    Severity.WARNING: ("orange", ":material/warning:"),
    Severity.CRITICAL: ("red", ":material/error:"),
}


def in_sidebar() -> None:
    """How many things are the matter now; nothing where none is."""
    count = len(bridge.runtime().alerts.firing)
    if count:
        label = fmt.count_text(count, "alert")
        nav.link("alerts", f":orange[**{label}**]", icon=":material/notifications_active:")


def firing() -> None:
    """What is the matter now, newest first."""
    found = bridge.runtime().alerts.firing
    if not found:
        feedback.show_empty(
            "Nothing is the matter, as far as the rules go.",
            hint="Rules say what is watched; they are looked at every five seconds.",
            icon=":material/notifications:",
        )
        return
    now = utc_now()
    for one in found:
        colour, icon = _LOOKS[Severity(one.severity)]
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f":{colour}[{icon}] **{fmt.md(one.rule)}** {fmt.md(one.text)}  \n"
                f":small[:gray[{one.severity}, for {fmt.age(one.began_at, now=now)}]]"
            )
            st.space("stretch")
            if one.session_id:
                nav.link("session", "Its session", icon=":material/forum:", id=one.session_id)


def history() -> None:
    """What was found, newest first, with how it was posted."""
    try:
        found = bridge.read(lambda: bridge.runtime().alerts.history(limit=_HISTORY))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.history.error")
        return
    if not found:
        feedback.show_empty("Nothing was found so far.", icon=":material/history:")
        return
    st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        hide_index=True,
        alt="What alert rules found, newest first",
    )
    st.caption("Kept for 90 days.")


def rules() -> None:
    """All rules, a button to test each, and a form for a new one."""
    alerts = bridge.runtime().alerts
    if alerts.posts:
        st.caption("Alerts are posted to the address of `SWITCHBOARD_ALERT_WEBHOOK_URL`.")
    else:
        st.caption(
            "Alerts are shown here alone. `SWITCHBOARD_ALERT_WEBHOOK_URL` names an address to post them to."
        )
    try:
        there = bridge.read(alerts.rules)
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.rules.error")
        return
    if not there:
        feedback.show_empty(
            "There is no rule.",
            hint="The usual ones watch for missing agents, waiting questions, webhooks and workers.",
            icon=":material/rule:",
            action=_usual_button,
        )
    for rule in there:
        _rule(rule)
    _form()


def _usual_button() -> None:
    if st.button("Make the usual rules", key=f"{_RULE}.usual", icon=":material/auto_awesome:"):
        attempt(_RULE, _make_usual, done="The usual rules are kept.")


def _make_usual() -> None:
    alerts = bridge.runtime().alerts
    for watch, severity in (
        (Watch.AGENT_MISSING, Severity.CRITICAL),
        (Watch.INTERRUPT, Severity.WARNING),
        (Watch.LATENCY, Severity.WARNING),
        (Watch.ERRORS, Severity.WARNING),
        (Watch.WEBHOOKS, Severity.INFO),
        (Watch.WORKER, Severity.CRITICAL),
    ):
        name = watch.value.replace("_", " ").capitalize()
        rule = AlertRule(name=name, watch=watch, threshold=KINDS[watch].usual, severity=severity)
        bridge.write(lambda caller, rule=rule: alerts.save_rule(rule, actor=caller))  # type: ignore[misc]


def _rule(rule: AlertRule) -> None:
    alerts, key = bridge.runtime().alerts, f"{_RULE}.{rule.name}"
    kind = KINDS[rule.watch]
    colour, icon = _LOOKS[rule.severity]
    whose = f" of {fmt.md(rule.agent_name)}" if rule.agent_name else ""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":{colour}[{icon}] **{fmt.md(rule.name)}** {kind.title}{whose}, "
            f"{kind.threshold} {fmt.number(rule.threshold)}  \n"
            f":small[:gray[posted at most every {rule.quiet_min} minutes, by {fmt.md(rule.saved_by)}]]"
        )
        st.space("stretch")
        if st.button("Test", key=f"{key}.test", icon=":material/science:"):
            attempt(key, lambda: _test(rule.name), done=f"{fmt.code(rule.name)} was tested.")
        if st.button("Delete", key=f"{key}.delete", icon=":material/delete:", type="tertiary"):
            attempt(
                key,
                lambda: bridge.write(lambda caller: alerts.delete_rule(rule.name, actor=caller)),
                done=f"The rule {fmt.code(rule.name)} was deleted.",
            )
    show_failure(key)


def _test(name: str) -> None:
    alerts = bridge.runtime().alerts
    count = bridge.write(lambda caller: alerts.test(name, actor=caller), timeout_s=20)
    what = fmt.count_text(count, "thing") if count else "nothing"
    posted = " A post marked as a test was taken." if alerts.posts else ""
    feedback.flash(f"It finds {what} now.{posted}", icon=":material/science:")


def _form() -> None:
    draft = drafts.draft_key(_RULE)
    there = bridge.read(bridge.runtime().store.found.values)
    with st.expander("A new rule", icon=":material/add:", key=f"{_RULE}.new"):
        st.selectbox("Watch for", list(Watch), format_func=_title, key=f"{draft}.watch")
        watch = Watch(st.session_state[f"{draft}.watch"])
        kind = KINDS[watch]
        grid = st.grid(4, min_column_width=150)
        name = grid.text_input(
            "Name",
            max_chars=NAME_MOST,
            key=f"{draft}.name",
            placeholder="One that exists is replaced",
        )
        threshold = grid.number_input(
            kind.threshold.capitalize(),
            min_value=kind.least,
            max_value=kind.most,
            value=kind.usual,
            key=f"{draft}.threshold.{watch.value}",
        )
        grid.selectbox("How grave", list(Severity), index=1, key=f"{draft}.severity")
        severity = Severity(st.session_state[f"{draft}.severity"])
        quiet = grid.number_input(
            "Posted at most every (minutes)",
            min_value=0,
            max_value=QUIET_MOST_MIN,
            value=30,
            key=f"{draft}.quiet",
        )
        agent = st.selectbox(
            "Agent",
            [_ANY, *there["agent_name"]],
            format_func=lambda one: fmt.plain(one) or "any",
            key=f"{draft}.agent",
        )
        clicked = st.button("Keep the rule", key=f"{draft}.save", icon=":material/rule:")

    def save() -> None:
        rule = AlertRule(
            name=name,
            watch=watch,
            threshold=float(threshold),
            severity=severity,
            agent_name=agent or None,
            quiet_min=int(quiet),
        )
        alerts = bridge.runtime().alerts
        bridge.write(lambda caller: alerts.save_rule(rule, actor=caller))
        drafts.sent(_RULE)

    if clicked:
        attempt(_RULE, save, done="The rule is kept.")
    show_failure(_RULE)


def _title(watch: Watch) -> str:
    return KINDS[watch].title


def _row(one: AlertRecord) -> dict[str, Any]:
    took = "goes on"
    if one.ended_at is not None:
        took = fmt.duration((one.ended_at - one.began_at).total_seconds())
    if not one.posted:
        posted = "no"
    elif one.post_error:
        posted = f"given up after {one.post_tries} tries: {one.post_error}"
    else:
        posted = "yes" if one.post_tries <= 1 else f"yes, at try {one.post_tries}"
    return {
        "Began": viewer.moment(one.began_at),
        "Lasted": took,
        "Severity": one.severity,
        "Rule": fmt.plain(one.rule),
        "What": fmt.plain(one.text),
        "Posted": posted,
    }
