"""Drawing the time range and the other filters of the metrics, and what to compare them to.

All of it stands in the page's address: a link shows the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import streamlit as st

from dashboard.ui import address, bridge, viewer
from dashboard.ui import format as fmt
from services.analytics.service import DAYS_MOST, Scope
from services.clock import utc_now
from services.store.session_fields import NONE

KEY: Final = "analytics"
PERIODS: Final = {
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "days": "Custom",
}
AGAINST: Final = {
    "before": "Previous period",
    "time": "Custom period",
    "version": "Another version",
    "nothing": "No comparison",
}
_DAYS: Final = {"7d": 7, "30d": 30, "90d": 90}
_FIELDS: Final = ("period", "from", "to", "agent", "version", "against", "since", "other")
_USUAL: Final = {"period": "7d", "against": "before"}
_ANY: Final = ""
_FIELD_PX: Final = 170
_NAME_MOST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`against` None: nothing is compared. `words` and `against_words` name the two."""

    scope: Scope
    words: str
    against: Scope | None
    against_words: str

    @property
    def span(self) -> str:
        """From when to when, as the viewer's clock has it."""
        return _span(self.scope)


def asked() -> Asked:
    """Draw the fields; gives what they say. The address follows them."""
    fields = _Fields(address.follow(KEY, _FIELDS))
    there = bridge.read(bridge.runtime().store.session_search.values)
    held: dict[str, Any] = {}
    held["period"] = fields.choice("Time range", "period", PERIODS)
    if held["period"] == "days":
        held["from"] = fields.date("From", "from", back=6)
        held["to"] = fields.date("Until", "to", back=0)
    held["agent"] = fields.choice("Agent", "agent", fields.names(there["agent_name"], "agent"))
    versions = fields.names((*there["version"], NONE), "version", "other")
    held["version"] = fields.choice("Version", "version", versions)
    held["against"] = fields.choice("Compare to", "against", AGAINST)
    if held["against"] == "time":
        held["since"] = fields.date("Starting on", "since", back=14)
    if held["against"] == "version":
        others = {one: word for one, word in versions.items() if one != held["version"]}
        held["other"] = fields.choice("Other version", "other", others)
    address.write(KEY, _FIELDS, {name: _said(name, value) for name, value in held.items()})
    return _asked(held)


def find(scope: Scope, **more: str) -> dict[str, str]:
    """The address of the sessions page that lists what a figure of `scope` counts."""
    address = {
        "created_after": _iso(scope.begin),
        "created_before": _iso(scope.end),
        "agent_name": _word(scope.agent_name),
        "version": _word(scope.version),
        **more,
    }
    return {name: value for name, value in address.items() if value}


def _word(name: str | None) -> str:
    return "" if name is None else name or NONE


def _asked(held: Mapping[str, Any]) -> Asked:
    begin, end = _time(held)
    scope = Scope(
        begin=begin,
        end=end,
        agent_name=_name(held["agent"]),
        version=_name(held["version"]),
    )
    words = _span(scope)
    match held["against"]:
        case "before":
            before = scope.before()
            return Asked(
                scope=scope,
                words=words,
                against=before,
                against_words=_span(before),
            )
        case "time":
            since = _midnight(held["since"])
            other = Scope(
                begin=since,
                end=since + (end - begin),
                agent_name=scope.agent_name,
                version=scope.version,
            )
            return Asked(
                scope=scope,
                words=words,
                against=other,
                against_words=_span(other),
            )
        case "version" if held["other"]:
            other = Scope(
                begin=begin,
                end=end,
                agent_name=scope.agent_name,
                version=_name(held["other"]),
            )
            named = _named(held["version"]) if held["version"] else "All versions"
            return Asked(
                scope=scope, words=named, against=other, against_words=_named(held["other"])
            )
        case _:
            return Asked(scope=scope, words=words, against=None, against_words="")


def _span(of: Scope) -> str:
    return fmt.span(of.begin, of.end, zone=viewer.zone_name())


def _time(held: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Whole hours; of days, from where they begin for the viewer."""
    end = utc_now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    if held["period"] == "days":
        first, last = sorted((held["from"], held["to"]))
        last = min(last, first + timedelta(days=DAYS_MOST - 1))
        return _midnight(first), _midnight(last + timedelta(days=1))
    if (days := _DAYS.get(held["period"])) is not None:
        return _midnight(_today() - timedelta(days=days - 1)), end
    return end - timedelta(hours=24), end


class _Fields:
    """The address says what is chosen at first: a state that is set from here could get lost."""

    def __init__(self, where: address.Address) -> None:
        self._told = where.values
        self._key = f"{KEY}.{where.moves}"  # where the address moves, the fields begin anew
        self._grid: Any = st.grid(4, min_column_width=_FIELD_PX)

    def choice(self, label: str, name: str, words: Mapping[str, str]) -> str:
        told = self._told.get(name, _USUAL.get(name, _ANY))
        options = list(words)
        chosen = self._grid.selectbox(
            label,
            options,
            index=options.index(told) if told in words else 0,
            format_func=lambda one: words.get(one, one),
            key=f"{self._key}.{name}",
        )
        return str(chosen)

    def date(self, label: str, name: str, *, back: int) -> date:
        at_first = _day(self._told.get(name, "")) or _today() - timedelta(days=back)
        chosen = self._grid.date_input(
            label, value=at_first, key=f"{self._key}.{name}", format="YYYY-MM-DD"
        )
        return chosen if isinstance(chosen, date) else at_first

    def names(self, known: tuple[str, ...], *fields: str) -> dict[str, str]:
        """Those that are known, and those that the address names: an old link stays what it is."""
        told = (self._told.get(field, "")[:_NAME_MOST] for field in fields)
        names = dict.fromkeys((*known, *filter(None, told)))
        return {_ANY: "All", **{name: _named(name) for name in names}}


def _said(name: str, value: Any) -> str:
    """A field in the address; "" where it is as usual."""
    word = value.isoformat() if isinstance(value, date) else str(value)
    return "" if word == _USUAL.get(name) else word


def _named(version: str) -> str:
    return "unknown" if version == NONE else fmt.plain(version)


def _name(held: str) -> str | None:
    return None if not held else "" if held == NONE else held


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _today() -> date:
    return utc_now().astimezone(zone()).date()


def zone() -> Any:
    """The viewer's."""
    return fmt.zone_or_utc(st.context.timezone)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone()).astimezone(UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
