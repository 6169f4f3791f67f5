import { expect, it } from "vitest";
import type { Json } from "../../src/lib/json";
import { changes, openedFor, PAGE, rowsOf, search } from "../../src/session/state/rows";
import { moved, ticks, toTime, toX, zoomed } from "../../src/session/timeline/scale";

const STATE: Json = { messages: [{ type: "ai", content: "Hi" }], slots: { "a.b": null }, n: 3 };

it("draws what is open, in order, and no deeper", () => {
  const rows = rowsOf(STATE, new Map([["$", 1]]));
  expect(rows.map((row) => row.name)).toEqual(["", "messages", "slots", "n"]);
  const open = openedFor(["$.messages.0.content"], STATE);
  expect(rowsOf(STATE, open).map((row) => row.name)).toEqual([
    "",
    "messages",
    "0",
    "type",
    "content",
    "slots",
    "n",
  ]);
});

it("pages long lists", () => {
  const long = Array.from({ length: PAGE * 3 }, (_, index) => index);
  const rows = rowsOf(long, new Map([["$", 1]]));
  expect(rows).toHaveLength(PAGE + 2);
  expect(rows.at(-1)).toMatchObject({ kind: "more", count: PAGE * 2 });
});

it("finds by name and by value, and opens the way", () => {
  expect(search(STATE, "hi")).toEqual(["$.messages.0.content"]);
  expect(search(STATE, "A.B")).toEqual(["$.slots.a\\.b"]);
  expect([...openedFor(["$.slots.a\\.b"], STATE).keys()]).toEqual(["$", "$.slots"]);
});

it("says what changed", () => {
  const after: Json = { messages: [{ type: "ai", content: "Hi there" }], n: 3, x: true };
  expect(
    changes(STATE, after)
      .map(({ kind, path }) => `${kind} ${path}`)
      .sort(),
  ).toEqual(["added x", "changed messages.0.content", "removed slots"]);
});

it("bounds what is deep, wide or long", () => {
  let deep: Json = 1;
  for (let level = 0; level < 5_000; level += 1) deep = { deep };
  const wide: Json = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]));
  expect(rowsOf(deep, new Map([["$", 1]]))).toHaveLength(2);
  expect(rowsOf(wide, new Map([["$", 1]]))).toHaveLength(PAGE + 2);
  expect(search(deep, "zzz")).toEqual([]);
  expect(search(wide, "k9").length).toBeLessThanOrEqual(500);
});

it("zooms around a moment and stays within what there is", () => {
  const all = { from: 0, to: 1_000 };
  const near = zoomed(all, all, 0.5, 200);
  expect(near).toEqual({ from: 100, to: 600 });
  expect(zoomed(near, all, 100, 300)).toEqual(all);
  expect(moved(near, all, 10_000)).toEqual({ from: 500, to: 1_000 });
  expect(toTime(near, 100, toX(near, 100, 345))).toBeCloseTo(345);
  expect(ticks(all, 0, 5)).toEqual([0, 200, 400, 600, 800, 1_000]);
  expect(ticks({ from: 0, to: Number.NaN }, 0, 5)).toEqual([]);
  expect(ticks({ from: 0, to: 36_000_000 }, 0, 8).length).toBeGreaterThan(3);
});
