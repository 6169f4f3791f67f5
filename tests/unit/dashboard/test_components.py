from __future__ import annotations

import re
import time

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.components import bundle
from dashboard.components.rooms_table import DEFAULT_SORT, RoomsView

ENTRIES = (
    "asked_badge", "call_dock", "call_panel", "device_probe", "listen_in", "live", "path_map", "rooms_table", "session_view",
)  # fmt: skip
# Name spaces of the DOM and of RTP, and what messages of libraries name.
NAMED_ONLY = {
    "www.w3.org",
    "aomediacodec.github.io",
    "react.dev",
    "reactflow.dev",
    "developer.mozilla.org",
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_stub_is_no_file_path_and_names_a_bundle_that_is_there(entry: str) -> None:
    text = bundle.stub(entry)
    assert "\n" in text.strip()  # Streamlit takes a single line for a file path
    address = re.search(r'new URL\("([^"?]+)\?v=[0-9a-f]{12}"', text)
    assert address is not None
    assert address[1] == f"{bundle.MOUNT_PATH}/{entry}.js"
    assert (bundle.BUILD_DIR / f"{entry}.js").is_file()


def test_a_bundle_asks_for_nothing_but_its_own_parts() -> None:
    names = {path.name for path in bundle.BUILD_DIR.glob("*.js")}
    wanted: set[str] = set()
    for path in bundle.BUILD_DIR.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        wanted |= set(re.findall(r'(?:from|import)\s*\(?["`]\./([^"`]+)["`]', text))
        hosts = set(re.findall(r"https?://([a-z0-9.-]+)", text))
        assert hosts <= NAMED_ONLY, path.name
    assert wanted <= names
    assert names - wanted == {f"{entry}.js" for entry in ENTRIES}


def test_a_view_comes_back_from_an_address_as_it_was() -> None:
    view = RoomsView(q="a b", health=("ok", "empty"), sort="-people")
    assert RoomsView.from_params(view.to_params()) == view


def test_the_usual_view_leaves_the_address_bare() -> None:
    assert set(RoomsView().to_params().values()) == {""}
    assert RoomsView.from_params({}) == RoomsView(sort=DEFAULT_SORT)


def table_page() -> None:
    from dashboard.components.rooms_table import rooms_table

    rooms_table("api/live?ticket=t", room_href="room?name=", key="rooms")


def test_the_table_follows_the_address_only_when_that_changes_by_itself() -> None:
    app = AppTest.from_function(table_page)
    app.query_params["q"] = "intake"
    app.run()
    app.run()
    assert not app.exception
    assert app.session_state["rooms.address"].moves == 0
    app.query_params["q"] = "billing"
    app.run()
    app.run()
    assert app.session_state["rooms.address"].moves == 1
    assert app.session_state["rooms.address"].values == {"q": "billing"}


def test_an_old_address_that_comes_late_does_not_undo_what_was_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = AppTest.from_function(table_page)
    app.query_params["q"] = "intake"
    address = app.run().session_state["rooms.address"]
    address.change({"q": "billing"})  # what the table tells when somebody types
    app.run()
    assert not app.exception
    assert (address.values, address.moves) == ({"q": "billing"}, 0)
    assert app.query_params["q"] == "billing"
    later_s = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later_s)  # the Back button, at leisure
    app.query_params["q"] = "intake"
    app.run()
    assert (address.values, address.moves) == ({"q": "intake"}, 1)


def test_an_address_cannot_make_the_search_endless() -> None:
    assert len(RoomsView.from_params({"q": "x" * 10_000}).q) == 200
