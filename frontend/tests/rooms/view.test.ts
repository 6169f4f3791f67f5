import { describe, expect, it } from "vitest";
import {
  COLUMNS,
  DEFAULT_SORT,
  isFiltered,
  nextSort,
  project,
  readView,
  toggleHealth,
  type View,
  writeView,
} from "../../src/rooms/view";
import { byName, room } from "../rows";

const ALL: View = { q: "", health: [], sort: { column: "name", descending: false } };
const at = (minute: number) => Date.parse("2026-11-24T10:00:00Z") + minute * 60_000;
const ROWS = byName([
  room("b", { agent: "intake", people: 2, createdAt: at(1), expiresAt: at(90), health: "empty" }),
  room("a", { agent: "", people: 5, createdAt: at(3), expiresAt: null, health: "no_agent" }),
  room("c", {
    agent: "PM-Agent",
    people: 2,
    createdAt: null,
    expiresAt: at(30),
    sessionId: "ses_9",
  }),
]);

function names(view: Partial<View>): string {
  return project(ROWS, { ...ALL, ...view }).names.join("");
}

describe("the order of rooms", () => {
  it.each([
    ["name", "abc", "cba"],
    ["agent", "cba", "bca"],
    ["people", "bca", "abc"],
    ["age", "abc", "bac"],
    ["expires", "cba", "bca"],
    ["health", "abc", "cba"],
  ] as const)("by %s is %s, turned round %s; what has no value comes last", (column, up, down) => {
    expect(names({ sort: { column, descending: false } })).toBe(up);
    expect(names({ sort: { column, descending: true } })).toBe(down);
  });

  it("turns round with a second click, and starts with what one looks for", () => {
    expect(nextSort({ column: "name", descending: false }, "people").descending).toBe(true);
    expect(nextSort({ column: "people", descending: true }, "people").descending).toBe(false);
    expect(nextSort({ column: "people", descending: true }, "expires").descending).toBe(false);
  });
});

describe("search and filter", () => {
  it("find every word in name, agent or session, in any case", () => {
    expect(names({ q: " pm-AGENT " })).toBe("c");
    expect(names({ q: "SES_9" })).toBe("c");
    expect(names({ q: "c ses" })).toBe("c");
    expect(names({ q: "c intake" })).toBe("");
  });

  it("do not take a search for a pattern, nor join fields", () => {
    expect(names({ q: ".*" })).toBe("");
    expect(names({ q: "bintake" })).toBe("");
  });

  it("leave only the chosen healths, and count what each would show", () => {
    expect(names({ health: ["no_agent", "empty"] })).toBe("ab");
    const { counts, searched } = project(ROWS, { ...ALL, q: "pm", health: ["empty"] });
    expect(searched).toBe(1);
    expect(counts).toMatchObject({ ok: 1, empty: 0, no_agent: 0 });
  });

  it("are known to leave something out", () => {
    expect(isFiltered(ALL)).toBe(false);
    expect(isFiltered({ ...ALL, q: " " })).toBe(false);
    expect(isFiltered({ ...ALL, health: ["ok"] })).toBe(true);
  });

  it("add and take away one health at a time, in a fixed order", () => {
    const both = toggleHealth(toggleHealth(ALL, "ok"), "no_agent");
    expect(both.health).toEqual(["no_agent", "ok"]);
    expect(toggleHealth(both, "no_agent").health).toEqual(["ok"]);
  });
});

describe("the view in an address", () => {
  it("comes back as it was", () => {
    for (const column of COLUMNS) {
      for (const descending of [true, false]) {
        const view: View = { q: "a b", health: ["ok"], sort: { column, descending } };
        expect(readView(writeView(view))).toEqual(view);
      }
    }
  });

  it("may be wrong: what is not known is left out", () => {
    const view = readView({ q: "x", health: ["ok", "burning"], sort: "-colour" });
    expect(view).toEqual({ q: "x", health: ["ok"], sort: DEFAULT_SORT });
  });
});
