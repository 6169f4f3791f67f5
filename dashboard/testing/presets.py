"""Drawing the presets of test sessions: take one, keep the fields as one, delete one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from dashboard.ui import bridge, feedback
from dashboard.ui import format as fmt
from dashboard.ui.actions import attempt, show_failure
from services.errors import SwitchboardError
from services.sessions.saved_items import NAME_MOST
from services.store.records import SavedItem

_KEY: Final = "test.preset"
_NAME: Final = f"{_KEY}.name"

# The fields of a test session: what a preset holds, and where the page keeps it.
AGENT: Final = "test.agent"
MODE: Final = "test.mode"
USER: Final = "test.user"
HOURS: Final = "test.hours"
METADATA: Final = "test.metadata"
HOURS_LEAST: Final = 0.05
_FIELDS: Final = {
    "agent": AGENT,
    "mode": MODE,
    "user": USER,
    "hours": HOURS,
    "metadata": METADATA,
}


def choice() -> None:
    """The presets that there are; taking one fills the fields. Nothing where there is none."""
    kept = {one.name: one for one in _all()}
    if not kept:
        return
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        name = st.selectbox(
            "Preset",
            list(kept),
            index=None,
            format_func=fmt.plain,
            placeholder="None",
            key=_KEY,
            on_change=_take,
            args=(kept,),
        )
    with right:
        if name is not None and st.button(
            "Delete preset", key=f"{_KEY}.delete", icon=":material/delete:"
        ):
            _delete(kept[name])


def keeping() -> None:
    """Keep the fields, as they are, under a name."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    with left:
        name = st.text_input(
            "Preset name",
            max_chars=NAME_MOST,
            help="Saves the options above. Saving under an existing name overwrites the preset.",
            key=_NAME,
        )
    with right:
        wanted = st.button("Save preset", key=f"{_KEY}.save", icon=":material/bookmark_add:")
    if wanted:
        options = {field: st.session_state.get(key) for field, key in _FIELDS.items()}
        attempt(
            f"{_KEY}.save",
            lambda: _save(name, options),
            done=f"Preset {fmt.code(name)} saved",
        )
    show_failure(f"{_KEY}.save")


def _all() -> tuple[SavedItem, ...]:
    return bridge.read(lambda: bridge.runtime().presets.all())


def _save(name: str, options: Mapping[str, Any]) -> None:
    bridge.write(lambda caller: bridge.runtime().presets.save(name, options, actor=caller))


def _delete(preset: SavedItem) -> None:
    try:
        bridge.write(lambda caller: bridge.runtime().presets.delete(preset.name, actor=caller))
    except SwitchboardError as error:
        feedback.show_error(error, key=f"{_KEY}.delete.error", retry=False)
        return
    st.session_state.pop(_KEY, None)
    feedback.flash(
        f"Preset {fmt.code(preset.name)} deleted",
        icon=":material/delete:",
        undo=lambda: _save(preset.name, preset.options),
    )
    st.rerun()


def _take(kept: Mapping[str, SavedItem]) -> None:
    """Fill the fields; what this installation does not know, or does not allow, stays as it is."""
    preset = kept.get(st.session_state[_KEY] or "")
    if preset is None:
        return
    runtime = bridge.runtime()
    options = preset.options
    most = float(runtime.settings.switchboard_session_max_hours)
    if options.get("agent") in {entry.name for entry in runtime.graphs.all()}:
        st.session_state[AGENT] = options["agent"]
    if options.get("mode") in {"voice", "text"}:
        st.session_state[MODE] = options["mode"]
    if isinstance(hours := options.get("hours"), int | float):
        st.session_state[HOURS] = min(max(HOURS_LEAST, float(hours)), most)
    for field, key in (("user", USER), ("metadata", METADATA)):
        if isinstance(value := options.get(field), str):
            st.session_state[key] = value
