"""Drawing the system: its tabs, its parts in figures, its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

from dashboard.ui import feedback, viewer
from dashboard.ui import format as fmt
from dashboard.ui.details import Rows, facts_table
from dashboard.ui.tabs import tabs
from services.health.system import SystemView, setting_rows, versions
from services.settings import Settings
from services.store.records import StoreHealth

TABS: Final = {
    "status": ":material/monitor_heart: Status",
    "livekit": ":material/dns: LiveKit server",
    "doctor": ":material/stethoscope: Doctor",
    "logs": ":material/description: Logs",
    "settings": ":material/tune: Settings",
}
_TAB: Final = "system.tab"
_LAG_GOOD_MS: Final = 20.0
_CARD_PX: Final = 176
_FACTS_PX: Final = 360


def open_tab(draw: Mapping[str, Callable[[], object]]) -> None:
    """Tabs of which only the open one is drawn."""
    for slug, tab in tabs(TABS, key=_TAB).items():
        if tab.open:
            with tab:
                draw[slug]()


# -- status


def status(view: SystemView) -> None:
    """How each part of Switchboard does, in figures."""
    _headline(view)
    grid = st.grid(2, min_column_width=_FACTS_PX, gap=("small", "medium"))
    with grid.cell():
        _facts("Switchboard", _process(view))
    with grid.cell():
        _database(view)
    with grid.cell():
        _facts("LiveKit, as asked by Switchboard", _asked(view))
    with grid.cell():
        _facts("Webhooks since the start", _webhooks(view))
    st.markdown("**Versions**")
    found = dict(versions())
    found["System"] = fmt.code(found["System"])  # the text font would make x86 a product
    found["livekit-server"] = view.server_version or "not told by an outside server"
    facts_table(list(found.items()), alt="Versions of what this runs on", columns=3)


def _livekit_answers(view: SystemView) -> str:
    if view.error is not None:
        return "Unavailable"
    return fmt.latency(view.poll_ms / 1000) if view.polls else "Not asked yet"


def _headline(view: SystemView) -> None:
    store = view.store
    lag_word = "within bounds" if view.lag.worst_ms <= _LAG_GOOD_MS else "late at times"
    cards = [
        ("Event loop, worst", fmt.latency(view.lag.worst_ms / 1000), f"{lag_word}, last minute"),
        (
            "Database",
            fmt.latency(store.round_trip_ms / 1000) if store is not None else "Unavailable",
            "one round trip" if store is not None else "no answer",
        ),
        (
            "LiveKit",
            _livekit_answers(view),
            "the last ListRooms" if view.error is None else "no answer",
        ),
        ("Live viewers", fmt.number(view.viewers), "open live connections"),
    ]
    grid = st.grid(len(cards), min_column_width=_CARD_PX)
    for name, value, text in cards:
        grid.metric(name, value, text, delta_color="off", delta_arrow="off", border=True)


def _process(view: SystemView) -> Rows:
    uptime = fmt.age(view.started_at, now=view.taken_at)
    lag = view.lag
    return [
        ("Running for", f"{uptime}, since {viewer.moment(view.started_at)}"),
        ("Process", f"{view.pid}"),
        ("Memory", fmt.bytes_text(view.memory_bytes)),
        ("CPU", f"{view.cpu_percent:.0f} % of one core"),
        ("Loop lag, median", fmt.latency(lag.median_ms / 1000)),
        ("Loop lag over 20 ms", f"{fmt.count_text(lag.over_limit, 'time')} since the start"),
    ]


def _asked(view: SystemView) -> Rows:
    answered = fmt.ago(view.answered_at, now=view.taken_at)
    rows = [
        ("Last answer", answered),
        ("Calls made", fmt.number(view.livekit_calls)),
        ("Polls answered", f"{view.polls:,}, one for all viewers"),
        ("Address", fmt.code(view.url)),
        ("Server", "embedded" if view.embedded is not None else "outside"),
    ]
    if view.error is not None:
        rows.insert(0, ("No answer", fmt.md(view.error.message)))
    return rows


def _database(view: SystemView) -> None:
    if view.store_error is not None:
        feedback.show_error(view.store_error, key="system.store")
    if view.store is not None:
        _facts("Database", _store_rows(view.store))


def _store_rows(store: StoreHealth) -> Rows:
    kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(store.dialect, store.dialect)
    size = fmt.bytes_text(store.size_bytes) if store.size_bytes is not None else fmt.ABSENT
    return [
        ("Kind", f"{kind}, schema {fmt.code(store.revision)}"),
        ("Size", size),
        ("Events", fmt.number(store.events)),
        ("Sessions", fmt.number(store.sessions)),
        ("Waiting, rejected", f"{store.waiting:,}, {store.rejected:,}"),
        ("Last error", fmt.md(store.last_error) if store.last_error else "none"),
    ]


def _webhooks(view: SystemView) -> Rows:
    seen = view.webhooks
    return [  # the longest value is always the same: the columns stay where they are
        ("Received", _received(view)),
        ("Duplicates", f"{seen.duplicates:,}"),
        ("Rejected", f"{seen.refused:,}, not signed with our key"),
        ("Dropped by LiveKit", f"{seen.dropped:,}"),
        ("Missed", f"{seen.missed:,} changes, found by polling"),
    ]


def _received(view: SystemView) -> str:
    seen = view.webhooks
    if seen.last_at is None:
        return "none yet"
    return f"{seen.received:,}, the last {fmt.ago(seen.last_at, now=view.taken_at)}"


def _facts(title: str, rows: Rows) -> None:
    st.markdown(f"**{title}**")
    facts_table(rows, alt=title)


# -- settings


def settings(found: Settings) -> None:
    """Every setting under its name in the environment; secrets only as set or not set."""
    rows = setting_rows(found)
    changed = sum(row.changed for row in rows)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{changed} of {len(rows)} differ from the default. They are read once, at the start, "
            "from the environment and `.env`; `.env.example` explains each.",
            width="content",
        )
        st.space("stretch")
        only = st.toggle("Only what is set", key="system.settings.only")
    table = [
        {
            "": "●" if row.changed else "",
            "Setting": row.name,
            "Value": fmt.plain(row.value) or "–",
            "Default": fmt.plain(row.default) or "–",
        }
        for row in rows
        if row.changed or not only
    ]
    if not table:
        feedback.show_empty("Everything is as it is by default.", icon=":material/tune:")
        return
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        key="system.settings",
        alt="Settings, their values and defaults; secrets are not shown",
        column_config={
            "": st.column_config.TextColumn(width=36, help="● is not the default"),
            "Setting": st.column_config.TextColumn(width=290),
            "Value": st.column_config.TextColumn(width="large"),
            "Default": st.column_config.TextColumn(width="medium"),
        },
    )
