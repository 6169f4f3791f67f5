import { describe, expect, it } from "vitest";
import {
  NOTHING_SELECTED,
  reduceSelection,
  type Selection,
  type SelectionAction,
} from "../../src/rooms/selection";

const SHOWN = ["a", "b", "c", "d", "e"];

function selected(...actions: SelectionAction[]): string {
  const state = actions.reduce<Selection>(reduceSelection, NOTHING_SELECTED);
  return [...state.names].sort().join("");
}

describe("selecting rooms", () => {
  it("adds and takes away one by one", () => {
    const a: SelectionAction = { kind: "toggle", name: "a" };
    expect(selected(a, { kind: "toggle", name: "b" }, a)).toBe("b");
  });

  it("takes all from the last one to this one, in the order shown", () => {
    const start: SelectionAction = { kind: "toggle", name: "d" };
    expect(selected(start, { kind: "range", name: "b", shown: SHOWN })).toBe("bcd");
    expect(selected(start, { kind: "range", name: "b", shown: ["d", "a", "b"] })).toBe("abd");
  });

  it("takes a range away when the last click took one away", () => {
    expect(
      selected(
        { kind: "add", names: SHOWN },
        { kind: "toggle", name: "b" },
        { kind: "range", name: "d", shown: SHOWN },
      ),
    ).toBe("ae");
  });

  it("treats a range without a start, or from a row out of sight, as one click", () => {
    expect(selected({ kind: "range", name: "c", shown: SHOWN })).toBe("c");
    expect(
      selected({ kind: "toggle", name: "x" }, { kind: "range", name: "c", shown: SHOWN }),
    ).toBe("cx");
  });

  it("adds and drops all that a filter shows, and leaves the others", () => {
    expect(
      selected(
        { kind: "toggle", name: "a" },
        { kind: "add", names: ["b", "c"] },
        { kind: "drop", names: ["c"] },
      ),
    ).toBe("ab");
    expect(selected({ kind: "add", names: SHOWN }, { kind: "clear" })).toBe("");
  });

  it("loses rooms that are gone, and only those", () => {
    const state = reduceSelection(NOTHING_SELECTED, { kind: "add", names: ["a", "b"] });
    const existing = new Map([["b", 1]]);
    expect([...reduceSelection(state, { kind: "prune", existing }).names]).toEqual(["b"]);
    const all = new Map(SHOWN.map((name) => [name, 1]));
    expect(reduceSelection(state, { kind: "prune", existing: all })).toBe(state);
  });
});
