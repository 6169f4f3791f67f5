"""Drawing scripted test sessions: choose or write some, run them, see what came of each line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.ui import bridge, feedback, nav
from dashboard.ui import format as fmt
from services.access.permissions import Caller
from services.errors import InvalidInputError, SwitchboardError
from services.scripts.api import open_api
from services.scripts.result import ScriptResult, as_junit
from services.scripts.run import run
from services.scripts.script import SUFFIXES, Script, parse, read

_KEY: Final = "test.scripts"
_RESULTS: Final = f"{_KEY}.results"
_RUN_S: Final = 300.0
_HEIGHT_PX: Final = 260
_EXAMPLE: Final = """\
name: A first answer
agent: pm-agent
lines:
  - expect:
      contains: [finished]
  - say: Yesterday I finished the login page.
    expect:
      contains: [next]
      max_latency_ms: 2000
"""


def panel() -> None:
    """All of it."""
    st.caption(
        "A synthetic caller runs each script in a real session and checks the agent's answers. "
        "In CI, run `switchboard test FOLDER`."
    )
    scripts = _chosen()
    if st.button(
        f"Run {fmt.count_text(len(scripts), 'script')}" if scripts else "Run scripts",
        key=f"{_KEY}.run",
        icon=":material/play_arrow:",
        type="primary",
        disabled=not scripts,
    ):
        _run(scripts)
    results: list[ScriptResult] = st.session_state.get(_RESULTS, [])
    if results:
        _table(results)


def _chosen() -> list[Script]:
    folder = bridge.runtime().settings.switchboard_scripts_dir
    scripts: list[Script] = []
    try:
        kept = {script.name: script for script in read([folder])}
    except InvalidInputError as error:
        feedback.show_error(error, key=f"{_KEY}.kept.error")
        kept = {}
    names = st.multiselect(
        "Scripts", list(kept), default=list(kept), key=f"{_KEY}.kept", help=f"Read from {folder}."
    )
    scripts += [kept[name] for name in names]
    with st.expander("Upload or write a script", icon=":material/edit_note:"):
        files = st.file_uploader(
            "Files",
            type=[suffix.removeprefix(".") for suffix in SUFFIXES],
            accept_multiple_files=True,
            key=f"{_KEY}.files",
        )
        text = st.text_area("Script", key=f"{_KEY}.text", height=_HEIGHT_PX, placeholder=_EXAMPLE)
    written = [(Path(file.name).name, file.getvalue()) for file in files]
    if text.strip():
        written.append(("the text field", text.encode()))
    for name, body in written:
        try:
            scripts.append(parse(body.decode("utf-8", errors="replace"), source=name))
        except InvalidInputError as error:
            feedback.show_error(error, key=f"{_KEY}.{name}.error")
    return scripts


def _run(scripts: list[Script]) -> None:
    """One after the other, each with its line; leaving the page stops them."""
    url = bridge.runtime().listens_at
    if url is None:
        raise InvalidInputError("The dashboard doesn't know its own address.")
    who = bridge.caller()
    results: list[ScriptResult] = []
    st.session_state[_RESULTS] = results
    bar = st.progress(0.0)
    for number, script in enumerate(scripts):
        bar.progress(number / len(scripts), text=f"Running: {fmt.md(script.name)}")
        try:
            results.append(bridge.read(lambda: _one(script, url, who), timeout_s=_RUN_S))  # noqa: B023
        except SwitchboardError as error:
            failed = ScriptResult(
                script=script, session_id="", lines=(), took_s=0.0, error=error.message
            )
            results.append(failed)
    bar.empty()


async def _one(script: Script, url: str, who: Caller) -> ScriptResult:
    with bridge.runtime().keys.lent(who) as key:
        async with open_api(url, key) as api:
            return await run(script, api)


def _table(results: list[ScriptResult]) -> None:
    passed = sum(result.passed for result in results)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{passed} of {len(results)} passed**", width="content")
        st.download_button(
            "Export JUnit XML",
            as_junit(results),
            file_name="switchboard-scripts.xml",
            mime="application/xml",
            key=f"{_KEY}.junit",
            icon=":material/download:",
        )
    for number, result in enumerate(results):
        _result(result, key=f"{_KEY}.{number}")


def _result(result: ScriptResult, *, key: str) -> None:
    icon = ":material/check_circle:" if result.passed else ":material/error:"
    colour = "green" if result.passed else "red"
    title = f":{colour}[{icon}] {fmt.md(result.script.name)} :gray[{result.took_s:.1f} s]"
    with st.expander(title, expanded=not result.passed, key=key):
        if result.error:
            st.error(fmt.md(result.error))
        if result.lines:
            st.dataframe(_rows(result), hide_index=True, alt="Result of each line")
        if result.session_id:
            nav.link("session", "Open session", icon=":material/forum:", id=result.session_id)


def _rows(result: ScriptResult) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "": ["✓" if line.passed else "✗" for line in result.lines],
            "Caller": [fmt.plain(line.said) for line in result.lines],
            "Transcript": [fmt.plain(line.heard) for line in result.lines],
            "Agent": [fmt.plain(line.answered) for line in result.lines],
            "Path": [" → ".join(line.path) for line in result.lines],
            "Latency": [
                fmt.latency(line.latency_ms / 1000) if line.latency_ms is not None else fmt.ABSENT
                for line in result.lines
            ],
            "Failures": [" ".join(line.problems) for line in result.lines],
        }
    )
