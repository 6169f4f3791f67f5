import { describe, expect, it } from "vitest";
import { type JsonObject, text } from "../../../src/lib/json";
import { readEvent } from "../../../src/lib/live/events";

/** Rows of no particular kind. */
const readName = (row: JsonObject): string | null => text(row.name) || null;

describe("events of the live connection", () => {
  it("reads a snapshot of whatever rows there are, and leaves out what is none", () => {
    const body = {
      topic: "rooms",
      at: "2026-11-24T10:00:00.5Z",
      rows: [{ name: "a" }, { name: 7 }, null, "x", [], { name: "b" }],
      error: "away",
    };
    expect(readEvent("snapshot", body, readName)).toEqual({
      kind: "snapshot",
      topic: "rooms",
      at: Date.parse("2026-11-24T10:00:00.500Z"),
      rows: ["a", "b"],
      removed: [],
      body,
    });
  });

  it("reads a change", () => {
    const body = { topic: "rooms", upsert: [{ name: "a" }], remove: ["b", 7, ""] };
    expect(readEvent("change", body, readName)).toMatchObject({
      kind: "change",
      at: null,
      rows: ["a"],
      removed: ["b"],
    });
  });

  it("tells a change without rows from one of no rows", () => {
    expect(readEvent("change", { topic: "system" }, readName)?.rows).toBeNull();
    expect(readEvent("change", { topic: "rooms", upsert: [] }, readName)?.rows).toEqual([]);
    expect(readEvent("snapshot", { topic: "system" }, readName)?.rows).toBeNull();
  });

  it.each([[null], [undefined], [7], ["x"], [["rooms"]], [{}], [{ topic: 7 }], [{ topic: "" }]])(
    "takes %j for nothing",
    (body) => {
      expect(readEvent("change", body, readName)).toBeNull();
    },
  );
});
