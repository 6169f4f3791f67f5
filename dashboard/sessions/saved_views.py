"""Drawing what belongs to a view of the sessions: its name, its columns, and taking it away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import streamlit as st

from dashboard.sessions import session_filters
from dashboard.ui import bridge, drafts, feedback
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.exports.sessions_table import TableFormat
from services.sessions.saved_items import NAME_MOST
from services.store.records import SavedItem
from services.store.session_fields import SessionFilter

_KEY: Final = f"{session_filters.KEY}.views"
_CHOICE: Final = f"{_KEY}.choice"
_FORMATS: Final = {
    TableFormat.CSV: "CSV",
    TableFormat.PARQUET: "Parquet",
    TableFormat.JSONL: "JSON Lines",
}


def bar(wanted: SessionFilter, sort: str) -> list[str]:
    """Kept views, columns, and files of this view; gives the columns that are to be drawn."""
    kept = {one.name: one for one in bridge.read(lambda: bridge.runtime().views.all())}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if kept:
            st.selectbox(
                "View",
                list(kept),
                index=None,
                format_func=fmt.plain,
                placeholder="Choose one that was kept",
                key=_CHOICE,
                on_change=_show,
                args=(kept,),
                width=260,
            )
        with st.popover("Save view", icon=":material/bookmark_add:", key=f"{_KEY}.keep"):
            _keeping(kept)
        with st.popover("Columns", icon=":material/view_column:", key=f"{_KEY}.columns"):
            columns = session_filters.choose_columns()
        with st.popover("Export", icon=":material/download:", key=f"{_KEY}.files"):
            st.caption("All sessions of this view, however many.")
            query = {**wanted.query(), "sort": sort}
            for written_as, label in _FORMATS.items():
                address = bridge.download_url(
                    "voice/sessions/export", **query, format=written_as.value
                )
                st.link_button(label, address, icon=":material/table:", type="tertiary")
    show_failure(_KEY)
    return columns


def _show(kept: Mapping[str, SavedItem]) -> None:
    view = kept.get(st.session_state[_CHOICE] or "")
    if view is not None:
        session_filters.show({name: str(value) for name, value in view.options.items()})


def _keeping(kept: Mapping[str, SavedItem]) -> None:
    draft = drafts.draft_key(_KEY)
    views = bridge.runtime().views
    name = st.text_input(
        "Its name",
        max_chars=NAME_MOST,
        key=f"{draft}.name",
        placeholder="A name; one that exists is replaced",
    )

    def save() -> None:
        view = session_filters.view()
        bridge.write(lambda caller: views.save(name, view, actor=caller))
        drafts.sent(_KEY)

    if st.button("Save", key=f"{_KEY}.save", icon=":material/bookmark_add:"):
        attempt(_KEY, save, done=f"View {fmt.code(name)} saved for all users")
    chosen = kept.get(st.session_state.get(_CHOICE) or "")
    if chosen is not None and st.button(
        f"Delete {fmt.md(chosen.name)}", key=f"{_KEY}.delete", icon=":material/delete:"
    ):
        attempt(_KEY, lambda: _delete(chosen), done=f"The view {fmt.code(chosen.name)} is deleted.")


def _delete(view: SavedItem) -> None:
    views = bridge.runtime().views
    bridge.write(lambda caller: views.delete(view.name, actor=caller))
    feedback.flash(
        f"{fmt.code(view.name)} can be had back.",
        undo=lambda: bridge.write(lambda caller: views.save(view.name, view.options, actor=caller)),
    )
