"""The only place that names pages: their files, addresses, titles and order in the menu."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote, urlencode

import streamlit as st
from streamlit.navigation.page import Page

from services.access.permissions import Caller, Permission

PAGES_DIR: Final = Path(__file__).resolve().parents[2] / "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One page. `section` is its heading in the menu; None keeps it out of the menu."""

    name: str
    title: str
    icon: str
    section: str | None
    help: str
    right: Permission = Permission.READ  # without it the page is not in the menu

    @property
    def path(self) -> Path:
        return PAGES_DIR / f"{self.name}.py"


# The first is the start page, with the address "". Others have their name as address.
ENTRIES: Final = (
    Entry(
        name="overview",
        title="Overview",
        icon=":material/monitoring:",
        section="Operate",
        help="System health, live activity and open issues",
    ),
    Entry(
        name="rooms",
        title="Rooms",
        icon=":material/meeting_room:",
        section="Operate",
        help="Open rooms, live: create, inspect and end them",
    ),
    Entry(
        name="sessions",
        title="Sessions",
        icon=":material/forum:",
        section="Operate",
        help="Search and filter all sessions",
    ),
    Entry(
        name="analytics",
        title="Analytics",
        icon=":material/query_stats:",
        section="Operate",
        help="Volume, latency, graph paths and outcomes across sessions",
    ),
    Entry(
        name="reviews",
        title="Reviews",
        icon=":material/rate_review:",
        section="Operate",
        right=Permission.REVIEW,
        help="Review queue, reviewer agreement and quality by version",
    ),
    Entry(
        name="alerts",
        title="Alerts",
        icon=":material/notifications:",
        section="Operate",
        help="Active alerts, history and rules",
    ),
    Entry(
        name="agents",
        title="Agents",
        icon=":material/smart_toy:",
        section="Operate",
        help="Agent graphs, workers and latency",
    ),
    Entry(
        name="test",
        title="Test",
        icon=":material/headset_mic:",
        section="Operate",
        help="Talk to an agent by voice or text, check devices, run scripts",
    ),
    Entry(
        name="tokens",
        title="Tokens",
        icon=":material/key:",
        section="Tools",
        right=Permission.TOKENS,
        help="Create or inspect an access token",
    ),
    Entry(
        name="system",
        title="System",
        icon=":material/dns:",
        section="Tools",
        help="Server, worker, database, logs, settings, health checks",
    ),
    Entry(
        name="access",
        title="Access",
        icon=":material/shield_person:",
        section="Tools",
        right=Permission.AUDIT,
        help="Users and roles, API keys, audit log, data retention",
    ),
    Entry(
        name="room",
        title="Room",
        icon=":material/meeting_room:",
        section=None,
        help="One room: participants, tracks, agents and metadata",
    ),
    Entry(
        name="session",
        title="Session",
        icon=":material/forum:",
        section=None,
        help="One session: graph, transcript, timeline and review",
    ),
)
_BY_NAME: Final = {entry.name: entry for entry in ENTRIES}


def menu(viewer: Caller | None) -> dict[str, list[Page]]:
    """Every page by menu heading, for `st.navigation`. Hidden ones too: their links need it.

    Without a viewer all are there, for the gate alone is drawn. What a viewer may not use is hidden.
    """
    sections: dict[str, list[Page]] = {}
    for entry in ENTRIES:
        shown = viewer is None or viewer.may(entry.right)
        drawn = page(entry.name, hidden=not shown)
        sections.setdefault(entry.section or ENTRIES[0].section or "", []).append(drawn)
    return sections


def page(name: str, *, hidden: bool = False) -> Page:
    """The page of that name, for `st.page_link` and `st.switch_page`.

    Raises:
        KeyError: no page has this name.
    """
    entry = _BY_NAME[name]
    return Page(
        entry.path,
        title=entry.title,
        icon=entry.icon,
        url_path=entry.name,
        default=entry is ENTRIES[0],
        visibility="hidden" if entry.section is None or hidden else "visible",
        help=entry.help,
    )


def right_for(page: Page) -> Permission:
    """What it takes to look at this page."""
    return _BY_NAME[page.url_path or ENTRIES[0].name].right


def link_url(name: str, /, **params: str) -> str:
    """The page's address relative to the dashboard's root, as from any other page of it.

    `link_url("room", name="a b")` is `room?name=a%20b`. A parameter that is "" stays, so that
    code in the browser can write on from it.

    Raises:
        KeyError: no page has this name.
    """
    path = "." if _BY_NAME[name] is ENTRIES[0] else name
    query = urlencode(params, quote_via=quote)
    return f"{path}?{query}" if query else path


def go(name: str, /, **params: str) -> NoReturn:
    """Leave this page for another one.

    Raises:
        KeyError: no page has this name.
    """
    st.switch_page(page(name), query_params=params)


def link(name: str, label: str, /, *, icon: str | None = None, **params: str) -> None:
    """Draw a link to a page; a click does not reload the browser.

    `label` is markdown: escape untrusted text with `format.md`.

    Raises:
        KeyError: no page has this name.
    """
    st.page_link(page(name), label=label, icon=icon, query_params=params or None)
