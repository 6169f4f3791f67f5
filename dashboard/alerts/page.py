"""Drawing alerts: the active ones, their history, and the rules."""

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
    """A link with the number of active alerts; nothing while there is none."""
    count = len(bridge.runtime().alerts.firing)
    if count:
        label = fmt.count_text(count, "active alert")
        nav.link("alerts", f":orange[**{label}**]", icon=":material/notifications_active:")


def firing() -> None:
    """The active alerts, newest first."""
    found = bridge.runtime().alerts.firing
    if not found:
        _no_alerts()
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
                nav.link("session", "Open session", icon=":material/forum:", id=one.session_id)


def _no_alerts() -> None:
    """Without rules, nothing is monitored: an empty list must not look like good news."""
    rule_count = len(bridge.read(bridge.runtime().alerts.rules))
    if rule_count:
        feedback.show_empty(
            "No active alerts.",
            hint=f"{fmt.count_text(rule_count, 'rule')} evaluated every five seconds.",
            icon=":material/notifications:",
        )
    else:
        feedback.show_empty(
            "No rules: nothing is monitored.",
            hint="Create rules on the Rules tab.",
            icon=":material/notifications_off:",
        )


def history() -> None:
    """The alert history, newest first, with the delivery of each alert."""
    try:
        found = bridge.read(lambda: bridge.runtime().alerts.history(limit=_HISTORY))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.history.error")
        return
    if not found:
        feedback.show_empty("No alerts yet.", icon=":material/history:")
        return
    st.dataframe(
        pd.DataFrame([_row(one) for one in found]),
        hide_index=True,
        alt="Alert history, newest first",
    )
    st.caption("Alerts are kept for 90 days.")


def rules() -> None:
    """All rules, a button to test each, and a form for a new one."""
    alerts = bridge.runtime().alerts
    if alerts.posts:
        st.caption("Alerts are sent to the webhook in `SWITCHBOARD_ALERT_WEBHOOK_URL`.")
    else:
        st.caption(
            "No webhook configured. Set `SWITCHBOARD_ALERT_WEBHOOK_URL` to receive alerts elsewhere."
        )
    try:
        there = bridge.read(alerts.rules)
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.rules.error")
        return
    if not there:
        feedback.show_empty(
            "No rules.",
            hint="The default rules cover missing agents, latency, errors, interrupts, webhooks and "
            "workers.",
            icon=":material/rule:",
            action=_defaults_button,
        )
    for rule in there:
        _rule(rule)
    _form()


def _defaults_button() -> None:
    if st.button("Create default rules", key=f"{_RULE}.usual", icon=":material/auto_awesome:"):
        attempt(_RULE, _create_defaults, done="Default rules created")


def _create_defaults() -> None:
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
    of_agent = f" · {fmt.md(rule.agent_name)}" if rule.agent_name else ""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":{colour}[{icon}] **{fmt.md(rule.name)}** {kind.title} \\> "
            f"{fmt.number(rule.threshold)} {kind.unit}{of_agent}  \n"
            f":small[:gray[at most every {rule.quiet_min} min · created by {fmt.md(rule.saved_by)}]]"
        )
        st.space("stretch")
        if st.button("Test", key=f"{key}.test", icon=":material/science:"):
            attempt(key, lambda: _test(rule.name), done=f"Rule {fmt.code(rule.name)} tested")
        if st.button("Delete", key=f"{key}.delete", icon=":material/delete:", type="tertiary"):
            attempt(
                key,
                lambda: bridge.write(lambda caller: alerts.delete_rule(rule.name, actor=caller)),
                done=f"Rule {fmt.code(rule.name)} deleted",
            )
    show_failure(key)


def _test(name: str) -> None:
    alerts = bridge.runtime().alerts
    count = bridge.write(lambda caller: alerts.test(name, actor=caller), timeout_s=20)
    what = fmt.count_text(count, "match", "matches") if count else "no matches"
    posted = " Test delivery succeeded." if alerts.posts else ""
    feedback.flash(f"The rule has {what} now.{posted}", icon=":material/science:")


def _form() -> None:
    draft = drafts.draft_key(_RULE)
    there = bridge.read(bridge.runtime().store.session_search.values)
    with st.expander("New rule", icon=":material/add:", key=f"{_RULE}.new"):
        st.selectbox("Metric", list(Watch), format_func=_title, key=f"{draft}.watch")
        watch = Watch(st.session_state[f"{draft}.watch"])
        kind = KINDS[watch]
        grid = st.grid(4, min_column_width=150)
        name = grid.text_input(
            "Name",
            max_chars=NAME_MOST,
            key=f"{draft}.name",
            help="Saving under an existing name overwrites the rule.",
        )
        threshold = grid.number_input(
            f"Threshold ({kind.unit})" if kind.unit else "Threshold",
            min_value=kind.least,
            max_value=kind.most,
            value=kind.usual,
            key=f"{draft}.threshold.{watch.value}",
        )
        grid.selectbox("Severity", list(Severity), index=1, key=f"{draft}.severity")
        severity = Severity(st.session_state[f"{draft}.severity"])
        quiet = grid.number_input(
            "Cooldown (min)",
            min_value=0,
            max_value=QUIET_MOST_MIN,
            value=30,
            key=f"{draft}.quiet",
        )
        agent = st.selectbox(
            "Agent",
            [_ANY, *there["agent_name"]],
            format_func=lambda one: fmt.plain(one) or "Any",
            key=f"{draft}.agent",
        )
        clicked = st.button("Save rule", key=f"{draft}.save", icon=":material/rule:")

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
        attempt(_RULE, save, done="Rule saved")
    show_failure(_RULE)


def _title(watch: Watch) -> str:
    return KINDS[watch].title


def _row(one: AlertRecord) -> dict[str, Any]:
    took = "active"
    if one.ended_at is not None:
        took = fmt.duration((one.ended_at - one.began_at).total_seconds())
    if not one.posted:
        posted = "no"
    elif one.post_error:
        posted = f"failed ({fmt.count_text(one.post_tries, 'attempt')}): {one.post_error}"
    else:
        posted = "yes" if one.post_tries <= 1 else f"yes, attempt {one.post_tries}"
    return {
        "Started": viewer.moment(one.began_at),
        "Duration": took,
        "Severity": one.severity,
        "Rule": fmt.plain(one.rule),
        "Alert": fmt.plain(one.text),
        "Delivered": posted,
    }
