"""Drawing the logs: their ends, by level and words, newest last."""

from __future__ import annotations

from typing import Final, Literal

import streamlit as st

from dashboard.ui import bridge, feedback, viewer
from dashboard.ui import format as fmt
from services.clock import utc_now
from services.health.log_view import LogEntry, LogLevel, Source, matching
from services.health.system import LOG_LINES, System

_SOURCES: Final = {
    Source.SWITCHBOARD: "Switchboard",
    Source.LIVEKIT: "livekit-server",
    Source.WORKER: "Worker",
}
_LEVELS: Final = {
    LogLevel.DEBUG: "Everything",
    LogLevel.INFO: "Info and worse",
    LogLevel.WARNING: "Warnings and errors",
    LogLevel.ERROR: "Errors only",
}
_SHOWN: Final = 300
_WORDS_LIMIT: Final = 200
_HEIGHT_PX: Final = 560
_FIT: Final = 16  # so few lines need no scrolling, even where they wrap


def logs(system: System, *, embedded: bool) -> None:
    """Each log behind one switch. It follows the end until the reader scrolls up."""
    with st.container(horizontal=True, vertical_alignment="center"):
        source = st.segmented_control(
            "Log",
            list(_SOURCES),
            format_func=lambda one: _SOURCES[one],
            default=Source.SWITCHBOARD,
            required=True,
            key="system.log.source",
            label_visibility="collapsed",
        )
        level = st.selectbox(
            "Level",
            list(_LEVELS),
            index=1,
            format_func=lambda one: _LEVELS[one],
            key="system.log.level",
            width=210,
            label_visibility="collapsed",
        )
        words = st.text_input(
            "Search",
            key="system.log.words",
            placeholder="words that a line must hold",
            max_chars=_WORDS_LIMIT,
            icon=":material/search:",
            label_visibility="collapsed",
        )
        place = st.empty()
    if source is Source.LIVEKIT and not embedded:
        feedback.show_empty(
            "Switchboard cannot see this log.",
            hint="LIVEKIT_URL names a server that runs elsewhere; its log is there.",
            icon=":material/description:",
        )
        return
    if source is Source.WORKER and bridge.runtime().worker is None:
        feedback.show_empty(
            "No worker runs on this machine.",
            hint="A worker that runs elsewhere has its log there.",
            icon=":material/description:",
        )
        return
    chosen = source or Source.SWITCHBOARD
    entries = bridge.read(lambda: system.log(chosen))
    if chosen is Source.LIVEKIT and st.toggle(
        "Hide polling", value=True, key="system.log.polling", help="Lines of ListRooms calls."
    ):
        entries = tuple(entry for entry in entries if not entry.is_polling)
    found = matching(entries, at_least=level, words=words)
    place.download_button(
        "Download",
        lambda: "\n".join(entry.text for entry in found) + "\n",
        f"{chosen.value}.log",
        "text/plain",
        key="system.log.download",
        icon=":material/download:",
        on_click="ignore",
        disabled=not found,
        help="All lines found. Tokens and secrets are blanked out.",
    )
    _lines(entries, found)


def _lines(entries: tuple[LogEntry, ...], found: tuple[LogEntry, ...]) -> None:
    if not entries:
        feedback.show_empty("Nothing was logged yet.", icon=":material/description:")
        return
    if not found:
        feedback.show_empty(
            "No line holds these words at this level.",
            hint=f"Looked at the last {len(entries):,} lines.",
            icon=":material/search_off:",
        )
        return
    shown = found[-_SHOWN:]
    height: int | Literal["content"] = _HEIGHT_PX if len(shown) > _FIT else "content"
    with st.container(height=height, autoscroll=True, border=False, key="system.log.lines"):
        st.code("\n".join(map(_line, shown)), language="log", wrap_lines=True)
    of = f" of {len(found):,} found" if len(found) > len(shown) else ""
    kept = (
        ""
        if len(entries) < LOG_LINES
        else f" Older lines than the last {LOG_LINES:,} are in the file."
    )
    st.caption(f"{fmt.count_text(len(shown), 'line')}{of}, newest last.{kept}")


def _line(entry: LogEntry) -> str:
    """`14:03:22.123 WARNING services.rooms.watcher: message  name=value`, in the viewer's zone."""
    parts = [_clock(entry), f"{entry.level.upper():7}" if entry.level else "       "]
    parts.append(f"{entry.logger}: {entry.message}" if entry.logger else entry.message)
    if entry.fields:
        parts.append(f" {entry.fields}")
    return fmt.plain(" ".join(parts)).replace("\n", "⏎")


def _clock(entry: LogEntry) -> str:
    if entry.at is None:
        return " " * 12
    there = entry.at.astimezone(fmt.zone_or_utc(viewer.zone_name()))
    text = f"{there:%H:%M:%S}.{there.microsecond // 1000:03d}"
    if there.date() == utc_now().astimezone(there.tzinfo).date():
        return text
    return f"{there:%Y-%m-%d} {text}"
