import { act, cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LINGER_MS, LiveConnection } from "../../src/lib/live/connection";
import { RoomsTable, type RoomsTableData } from "../../src/rooms/RoomsTable";
import { HOLD_MS } from "../../src/rooms/useHold";
import type { WireView } from "../../src/rooms/view";
import { FakeServer, setVisibility } from "../fakeServer";
import { wireRoom } from "../rows";

const NOW = Date.parse("2026-11-24T10:10:00Z");
const DATA: RoomsTableData = {
  ticket: "1",
  roomHref: "room?name=",
  view: { q: "", health: [], sort: "name" },
  viewRevision: 0,
};

let server: FakeServer;
let connection: LiveConnection;
let heard: {
  selected: (readonly string[])[];
  views: WireView[];
  opened: string[];
  refused: number;
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(NOW);
  setVisibility("visible");
  server = new FakeServer();
  connection = new LiveConnection(server.open);
  heard = { selected: [], views: [], opened: [], refused: 0 };
});

afterEach(() => {
  cleanup();
  vi.advanceTimersByTime(LINGER_MS);
  vi.useRealTimers();
});

function table(data: Partial<RoomsTableData> = {}) {
  return (
    <RoomsTable
      data={{ ...DATA, ...data }}
      connection={connection}
      onSelected={(names) => heard.selected.push(names)}
      onView={(view) => heard.views.push(view)}
      onOpen={(name) => heard.opened.push(name)}
      onRefused={() => {
        heard.refused += 1;
      }}
    />
  );
}

function wait(ms: number) {
  act(() => vi.advanceTimersByTime(ms));
}

/** Draws the table with these rooms. */
function show(rooms: object[], data: Partial<RoomsTableData> = {}, facts: object = {}) {
  const drawn = render(table(data));
  act(() => {
    server.last.accept();
    server.last.send("snapshot", {
      topic: "rooms",
      rows: rooms,
      at: new Date(NOW).toISOString(),
      ...facts,
    });
  });
  return drawn;
}

function change(upsert: object[], remove: string[] = [], facts: object = {}) {
  act(() => server.last.send("change", { topic: "rooms", upsert, remove, ...facts }));
  wait(150);
}

function shown(): string[] {
  return screen.queryAllByRole("link").map((link) => link.textContent);
}

function rowOf(name: string): HTMLElement {
  const row = screen.getByLabelText(`Select ${name}`).closest<HTMLElement>("[role=row]");
  if (!row) throw new Error(`${name} is not in a row`);
  return row;
}

function box(name: string): HTMLElement {
  return within(rowOf(name)).getByRole("checkbox");
}

const ABC = [wireRoom("a"), wireRoom("b"), wireRoom("c")];

describe("the table of rooms", () => {
  it("shows each room's facts as text, with a link of its own", () => {
    const name = '<img src=x onerror="alert(1)"> & ?';
    show([wireRoom(name, { people: 3, health: "no_agent", health_text: "Nobody took the job." })]);
    const link = screen.getByRole("link");
    expect(link.textContent).toBe(name);
    expect(link.getAttribute("href")).toBe(`room?name=${encodeURIComponent(name)}`);
    const row = within(rowOf(name));
    for (const text of ["pm-agent", "listening", "3", "10m 00s", "No agent"]) {
      expect(row.getByText(text)).toBeTruthy();
    }
    expect(document.querySelector("img")).toBeNull();
  });

  it("cuts a long name in its middle: names differ at their ends", () => {
    const name = "pm-agent-01a20d9dcd5e73cdbae8c8abe95d5720";
    show([wireRoom(name)]);
    const link = screen.getByRole("link", { name });
    expect(link.querySelector(".head-part")?.textContent).toBe(name.slice(0, -8));
    expect(link.textContent).toBe(name);
  });

  it("ticks", () => {
    show([wireRoom("a", { expires_at: "2026-11-24T10:10:30Z" })]);
    expect(within(rowOf("a")).getByText("in 30s")).toBeTruthy();
    wait(10_000);
    expect(within(rowOf("a")).getByText("10m 10s")).toBeTruthy();
    expect(within(rowOf("a")).getByText("in 20s")).toBeTruthy();
    wait(30_000);
    expect(within(rowOf("a")).getByText("due")).toBeTruthy();
  });

  it("follows changes without a word to Python", () => {
    show(ABC);
    change([wireRoom("b", { people: 7 }), wireRoom("bb")], ["a"]);
    expect(shown()).toEqual(["b", "bb", "c"]);
    expect(within(rowOf("b")).getByText("7")).toBeTruthy();
    expect(heard).toEqual({ selected: [], views: [], opened: [], refused: 0 });
  });

  it("tells assistive technology how large it is, how it is sorted and what is chosen", () => {
    show(ABC);
    const grid = screen.getByRole("grid");
    expect(grid.getAttribute("aria-rowcount")).toBe("4");
    expect(grid.getAttribute("aria-colcount")).toBe("8");
    const heads = screen.getAllByRole("columnheader");
    expect(heads.map((head) => head.getAttribute("aria-sort")).filter(Boolean)).toEqual([
      "ascending",
      ...Array<string>(6).fill("none"),
    ]);
    expect(rowOf("b").getAttribute("aria-rowindex")).toBe("3");
    fireEvent.click(box("b"));
    expect(rowOf("b").getAttribute("aria-selected")).toBe("true");
  });

  it("draws only the rows in sight of many", () => {
    show(Array.from({ length: 5_000 }, (_, index) => wireRoom(`room-${10_000 + index}`)));
    expect(screen.getByText("5,000 rooms")).toBeTruthy();
    expect(shown().length).toBeLessThan(60);
  });
});

describe("choosing rooms", () => {
  it("tells Python once, a moment after the last click", () => {
    show(ABC);
    fireEvent.click(box("a"));
    fireEvent.click(box("c"));
    wait(200);
    expect(heard.selected).toEqual([["a", "c"]]);
    expect(screen.getByText(/2 selected/)).toBeTruthy();
  });

  it("takes a range with Shift, and all that the filter leaves with the box above", () => {
    show([...ABC, wireRoom("d", { health: "empty" })]);
    fireEvent.click(box("a"));
    fireEvent.click(box("c"), { shiftKey: true });
    wait(200);
    fireEvent.click(screen.getByRole("button", { name: /^Empty/ }));
    fireEvent.click(screen.getByLabelText("Select all rooms shown"));
    wait(200);
    expect(heard.selected).toEqual([
      ["a", "b", "c"],
      ["a", "b", "c", "d"],
    ]);
    expect(screen.getByText(/4 selected \(3 hidden by filters\)/)).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Clear selection" }));
    wait(200);
    expect(heard.selected.at(-1)).toEqual([]);
  });

  it("survives changes and a new snapshot, and loses only rooms that are gone", () => {
    show(ABC);
    fireEvent.click(box("a"));
    fireEvent.click(box("b"));
    change([wireRoom("b", { people: 9 })]);
    act(() => server.last.send("snapshot", { topic: "rooms", rows: [wireRoom("b")] }));
    wait(150); // until it is drawn
    wait(200); // until Python is told
    expect(heard.selected.at(-1)).toEqual(["b"]);
    expect(rowOf("b").getAttribute("aria-selected")).toBe("true");
  });
});

describe("opening a room", () => {
  it("is a plain click on its name; with Ctrl the browser does it", () => {
    show(ABC);
    const plain = fireEvent.click(screen.getByRole("link", { name: "b" }));
    expect(plain).toBe(false);
    expect(heard.opened).toEqual(["b"]);
    const native = fireEvent.click(screen.getByRole("link", { name: "b" }), { ctrlKey: true });
    expect(native).toBe(true);
    expect(heard.opened).toEqual(["b"]);
  });

  it("does not happen for a click that was aimed at another row", () => {
    show(ABC);
    fireEvent.pointerMove(rowOf("a"));
    wait(HOLD_MS);
    act(() => server.last.send("change", { topic: "rooms", upsert: [wireRoom("A")], remove: [] }));
    wait(150);
    fireEvent.click(screen.getByRole("link", { name: "A" }));
    fireEvent.click(box("A"));
    expect(heard.opened).toEqual([]);
    expect(rowOf("A").getAttribute("aria-selected")).toBe("false");
    fireEvent.pointerMove(rowOf("A"));
    fireEvent.click(screen.getByRole("link", { name: "A" }));
    expect(heard.opened).toEqual(["A"]);
  });

  it("happens at once for a click by keyboard or assistive technology", () => {
    show(ABC);
    change([wireRoom("A")]);
    fireEvent.click(screen.getByRole("link", { name: "A" }));
    expect(heard.opened).toEqual(["A"]);
  });
});

describe("while somebody points at the rows", () => {
  it("no row moves, comes or goes, but cells change; then all comes in", () => {
    show(ABC);
    fireEvent.pointerMove(rowOf("b"));
    change([wireRoom("A"), wireRoom("b", { people: 8 })], ["a"]);
    expect(shown()).toEqual(["b", "c"]);
    expect(rowOf("a").dataset.gone).toBe("true");
    expect(rowOf("b").getAttribute("aria-rowindex")).toBe("3");
    expect(within(rowOf("b")).getByText("8")).toBeTruthy();
    expect(screen.getByRole("button", { name: /1 new, 1 closed/ })).toBeTruthy();
    wait(HOLD_MS);
    expect(shown()).toEqual(["A", "b", "c"]);
    expect(screen.queryByRole("button", { name: /gone/ })).toBeNull();
  });

  it("a room that has closed can be neither opened nor chosen", () => {
    show(ABC);
    fireEvent.pointerMove(rowOf("b"));
    change([], ["a"]);
    fireEvent.click(rowOf("a"), { ctrlKey: true });
    fireEvent.doubleClick(rowOf("a"));
    wait(200);
    expect(heard.opened).toEqual([]);
    expect(heard.selected).toEqual([]);
  });

  it("the changes come in at once when asked for, or when the pointer leaves", () => {
    show(ABC);
    fireEvent.pointerMove(rowOf("b"));
    change([wireRoom("A")]);
    fireEvent.click(screen.getByRole("button", { name: /1 new/ }));
    expect(shown()[0]).toBe("A");
    fireEvent.pointerMove(rowOf("b"));
    change([wireRoom("AA")]);
    expect(shown()[0]).toBe("A");
    fireEvent.pointerLeave(screen.getAllByRole("rowgroup")[0] as HTMLElement);
    wait(500);
    expect(shown().slice(0, 2)).toEqual(["A", "AA"]);
  });

  it("a sort of theirs counts at once", () => {
    show([wireRoom("a", { people: 1 }), wireRoom("b", { people: 9 })]);
    fireEvent.pointerMove(rowOf("b"));
    fireEvent.click(screen.getByRole("button", { name: "Participants" }));
    expect(shown()).toEqual(["b", "a"]);
  });
});

describe("search, filter and sort", () => {
  it("narrow the rows, and reach Python a moment later, once", () => {
    show([...ABC, wireRoom("other", { agent: "intake", health: "empty" })]);
    const search = screen.getByRole("textbox");
    for (const q of ["i", "in", "intake"]) fireEvent.change(search, { target: { value: q } });
    expect(shown()).toEqual(["other"]);
    expect(screen.getByText("1 of 4 rooms")).toBeTruthy();
    wait(500);
    fireEvent.click(screen.getByRole("button", { name: /^Empty/ }));
    fireEvent.click(screen.getByRole("button", { name: "Age" }));
    wait(500);
    expect(heard.views).toEqual([
      { q: "intake", health: [], sort: "name" },
      { q: "intake", health: ["empty"], sort: "age" },
    ]);
  });

  it("start as Python says, and follow it only when it asks for another view", () => {
    const drawn = show(ABC, { view: { q: "b", health: [], sort: "-name" } });
    expect(shown()).toEqual(["b"]);
    fireEvent.change(screen.getByRole("textbox"), { target: { value: "" } });
    drawn.rerender(table({ view: { q: "b", health: [], sort: "-name" } }));
    expect(shown()).toEqual(["c", "b", "a"]);
    drawn.rerender(table({ view: { q: "", health: [], sort: "name" }, viewRevision: 1 }));
    expect(shown()).toEqual(["a", "b", "c"]);
    wait(1_000);
    expect(heard.views).toEqual([]);
  });

  it("say so when nothing is left, with the way back", () => {
    show(ABC);
    fireEvent.change(screen.getByRole("textbox"), { target: { value: "nobody" } });
    expect(screen.getByText("No room matches “nobody”.")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Clear filters" }));
    expect(shown()).toHaveLength(3);
  });

  it("are reached with a slash, unless somebody is typing elsewhere", () => {
    show(ABC);
    const search = screen.getByRole("textbox");
    const other = document.createElement("input");
    document.body.append(other);
    fireEvent.keyDown(other, { key: "/" });
    expect(document.activeElement).not.toBe(search);
    fireEvent.keyDown(document.body, { key: "/" });
    expect(document.activeElement).toBe(search);
    other.remove();
  });

  it("keep their letters from the page's shortcuts", () => {
    show(ABC);
    let reached = 0;
    const listen = () => {
      reached += 1;
    };
    document.addEventListener("keydown", listen);
    fireEvent.keyDown(screen.getByRole("textbox"), { key: "r" });
    document.removeEventListener("keydown", listen);
    expect(reached).toBe(0);
  });
});

describe("the keyboard", () => {
  function press(key: string, with_: object = {}) {
    fireEvent.keyDown(screen.getByRole("grid"), { key, ...with_ });
  }
  function active(): string | null | undefined {
    const id = screen.getByRole("grid").getAttribute("aria-activedescendant");
    return id && document.getElementById(id)?.querySelector("a")?.textContent;
  }

  it("walks, chooses and opens", () => {
    show(ABC);
    press("ArrowDown");
    expect(active()).toBe("a");
    press("End");
    expect(active()).toBe("c");
    press("ArrowUp");
    press(" ");
    press("ArrowDown", { shiftKey: true });
    press("Enter");
    wait(200);
    expect(heard.selected.at(-1)).toEqual(["b", "c"]);
    expect(heard.opened).toEqual(["c"]);
    press("Home");
    press("a", { ctrlKey: true });
    wait(200);
    expect(heard.selected.at(-1)).toEqual(["a", "b", "c"]);
    press("Escape");
    wait(200);
    expect(heard.selected.at(-1)).toEqual([]);
  });

  it("stays on its room when rows come and go around it", () => {
    show(ABC);
    press("ArrowDown");
    press("ArrowDown");
    change([wireRoom("A")], ["a"]);
    wait(HOLD_MS);
    expect(active()).toBe("b");
    press("ArrowDown");
    expect(active()).toBe("c");
  });

  it("leaves the buttons of the head to themselves", () => {
    show(ABC);
    press("ArrowDown");
    fireEvent.keyDown(screen.getByRole("button", { name: "Participants" }), { key: "Enter" });
    expect(heard.opened).toEqual([]);
  });
});

describe("when something is wrong", () => {
  it("says that rows are on their way, then that there are none", () => {
    render(table());
    expect(screen.queryByText(/room is open/)).toBeNull();
    act(() => {
      server.last.accept();
      server.last.send("snapshot", { topic: "rooms", rows: [] });
    });
    expect(screen.getByText("No open rooms.")).toBeTruthy();
  });

  it("never says that no room is open while LiveKit cannot be asked", () => {
    show([], {}, { checked_at: null, error: "LiveKit is away.", error_hint: "Start it." });
    expect(screen.queryByText("No open rooms.")).toBeNull();
    expect(screen.getAllByText(/LiveKit is away\./).length).toBeGreaterThan(0);
    expect(screen.getByText("Start it.")).toBeTruthy();
    change([wireRoom("a")], [], { checked_at: new Date(NOW).toISOString(), error: null });
    expect(shown()).toEqual(["a"]);
    expect(screen.getByText("Live")).toBeTruthy();
  });

  it("keeps the rows of a lost connection, says how old they are, and recovers", () => {
    show(ABC);
    act(() => server.last.end());
    wait(1_000);
    expect(screen.getByText("Live")).toBeTruthy();
    wait(11_000);
    expect(screen.getByText("Reconnecting…")).toBeTruthy();
    expect(screen.getByText(/Updated 12s ago/)).toBeTruthy();
    expect(shown()).toEqual(["a", "b", "c"]);
    fireEvent.click(screen.getByRole("button", { name: "Retry now" }));
    act(() => server.last.accept());
    expect(screen.getByText("Live")).toBeTruthy();
  });

  it("says that nothing can be read when it never could", () => {
    render(table());
    act(() => server.last.end());
    wait(2_000);
    expect(screen.getByText("Rooms are unavailable.")).toBeTruthy();
  });

  it("asks Python for a fresh ticket, and goes on with it", () => {
    const drawn = show(ABC);
    act(() => server.last.refuse());
    wait(10);
    expect(heard.refused).toBe(1);
    drawn.rerender(table({ ticket: "fresh" }));
    wait(1);
    expect(server.last.newest.ticket).toBe("fresh");
    expect(shown()).toEqual(["a", "b", "c"]);
  });

  it("announces sparingly", () => {
    show(ABC);
    const said = () => screen.getAllByRole("status").at(-1)?.textContent;
    wait(5_000);
    expect(said()).toBe("");
    fireEvent.change(screen.getByRole("textbox"), { target: { value: "b" } });
    wait(1_000);
    expect(said()).toBe("1 room found.");
  });
});
