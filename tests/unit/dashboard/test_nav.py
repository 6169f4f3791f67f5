from __future__ import annotations

import sys
from importlib.metadata import packages_distributions

import pytest

from dashboard.ui import nav


@pytest.mark.parametrize(
    ("name", "params", "url"),
    [
        ("overview", {}, "."),
        ("overview", {"range": "1h"}, ".?range=1h"),
        ("rooms", {}, "rooms"),
        ("room", {"name": "a b/c&d=é?#"}, "room?name=a%20b%2Fc%26d%3D%C3%A9%3F%23"),
        ("room", {"name": ""}, "room?name="),
    ],
)
def test_links_are_relative_and_quoted(name: str, params: dict[str, str], url: str) -> None:
    assert nav.link_url(name, **params) == url


def test_a_page_that_is_not_named_here_has_no_address() -> None:
    with pytest.raises(KeyError):
        nav.link_url("billing")


def test_every_page_is_a_file_and_every_file_a_page() -> None:
    files = {path for path in nav.PAGES_DIR.glob("*.py") if path.name != "__init__.py"}
    assert files == {entry.path for entry in nav.ENTRIES}


def test_the_start_page_is_in_the_menu() -> None:
    assert nav.ENTRIES[0].section is not None


def test_no_module_of_the_dashboard_hides_another_one() -> None:
    """Streamlit puts the main script's folder first on the path: `queue.py` would be everybody's."""
    ours = {path.stem for path in nav.PAGES_DIR.with_name("dashboard").iterdir()} - {"__init__"}
    theirs = set(sys.stdlib_module_names) | set(packages_distributions())
    assert {"access", "main", "ui"} <= ours
    assert not ours & theirs
