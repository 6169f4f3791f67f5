"""How soon a page shows that somebody joined, measured in Chromium."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from playwright.async_api import Browser

from bench.report import Report, spread
from services.ids import new_session_id, room_name_for
from tests.support.control_room import ControlRoom
from tests.support.participants import ParticipantHost, People

JOINS = 30
PAUSE_S = 0.6
_WATCH = """
(name) => {
  window.__seen = {};
  const roots = [document.body];  // a component draws in a shadow root of its own
  for (const element of document.querySelectorAll('*'))
    if (element.shadowRoot) roots.push(element.shadowRoot);
  const look = () => {
    for (const root of roots) {
      for (const found of (root.innerText ?? '').matchAll(/probe-\\d+/g))
        window.__seen[found[0]] ??= Date.now();
      const rows = [...root.querySelectorAll('[role=row]')];
      const row = rows.find(one => one.textContent.includes(name));
      const people = row?.querySelectorAll('[role=gridcell]')[3]?.textContent.trim();
      if (people) window.__seen['people ' + people] ??= Date.now();
    }
  };
  for (const root of roots)
    new MutationObserver(look).observe(root, {childList: true, subtree: true, characterData: true});
  look();
}
"""


async def measure(room: ControlRoom, browser: Browser, report: Report, folder: Path) -> None:
    """Thirty joins into one room, seen in the live table and on the room's page."""
    host = ParticipantHost(folder / "participants.log")
    people = People(host)
    name = room_name_for(new_session_id(), "join")
    await people(room.target, name, "early-bird", audio=False)
    context = await browser.new_context()
    table, detail = await context.new_page(), await context.new_page()
    await table.goto(f"{room.url}/rooms?q={name}")
    await detail.goto(f"{room.url}/room?name={name}")
    await table.get_by_text(name[:20]).first.wait_for()
    await detail.get_by_text("early-bird").first.wait_for()
    for page in (table, detail):
        await page.evaluate(_WATCH, name[:20])
    after: dict[str, list[float]] = {"table": [], "page": []}
    begun: dict[str, list[float]] = {"table": [], "page": []}
    for number in range(JOINS):
        await asyncio.sleep(PAUSE_S)  # else the page's own limit of reruns is measured
        who = f"probe-{number}"
        began_ms = time.time() * 1000
        await people(room.target, name, who, audio=False)
        joined_ms = time.time() * 1000
        for page, mark, key in (
            (table, f"people {number + 2}", "table"),
            (detail, who, "page"),
        ):
            handle = await page.wait_for_function("mark => window.__seen[mark]", arg=mark)
            seen_ms = float(await handle.json_value())
            after[key].append(seen_ms - joined_ms)
            begun[key].append(seen_ms - began_ms)
    for key, where in (("table", "the live table"), ("page", "the room's page")):
        report.add(f"connect() returned -> shown in {where}", spread(after[key]), "p95 <= 100 ms")
        report.add(f"connect() called -> shown in {where}", spread(begun[key]))
    await context.close()
    people.all_leave()
    host.close()
