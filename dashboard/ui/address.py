"""The part of a page's address that says what a reader wants to see: written once, followed when it moves."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import streamlit as st

_LATE_S: Final = 2.0


@dataclass(slots=True)
class Address:
    """What the address said last, and what it said a moment before.

    The browser sends the address with each run, and may have sent it before it has heard of the
    last change: that is an old address come late, and no wish of the reader.
    """

    values: Mapping[str, str]
    moves: int = 0  # how often it changed by itself
    _before: Mapping[str, str] | None = None
    _changed_s: float = field(default=float("-inf"))

    def change(self, values: Mapping[str, str]) -> None:
        """The reader has chosen something else on the page."""
        self._before, self._changed_s, self.values = self.values, time.monotonic(), values

    def is_late(self, values: Mapping[str, str]) -> bool:
        """Whether it is the one before the last change, which was a moment ago."""
        return values == self._before and time.monotonic() - self._changed_s < _LATE_S


def follow(key: str, names: Iterable[str]) -> Address:
    """The address as it holds for `names`; `moves` has grown where a link or Back changed it."""
    told = {name: st.query_params[name] for name in names if name in st.query_params}
    held: Address = st.session_state.setdefault(_slot(key), Address(told))
    if told != held.values and not held.is_late(told):
        held.values = told
        held.moves += 1
    return held


def write(key: str, names: Iterable[str], values: Mapping[str, str]) -> None:
    """Say `values` in the address, "" for what need not be said; after `follow`.

    All at once: each change is a step for the Back button.
    """
    held: Address = st.session_state[_slot(key)]
    said = {name: value for name, value in values.items() if value}
    if said != held.values:
        held.change(said)
    others = {k: v for k, v in st.query_params.to_dict().items() if k not in set(names)}
    if {**others, **said} != st.query_params.to_dict():
        st.query_params.from_dict({**others, **said})


def _slot(key: str) -> str:
    return f"{key}.address"
