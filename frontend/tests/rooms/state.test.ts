import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/lib/json";
import type { LiveEvent } from "../../src/lib/live/events";
import type { RoomRow } from "../../src/rooms/row";
import { FRESH_MS, NO_ROOMS_YET, reduceRooms } from "../../src/rooms/state";
import { room } from "../rows";

const common = { topic: "rooms", at: null, body: {} };
const snapshot = (...rows: RoomRow[]): LiveEvent<RoomRow> => ({
  kind: "snapshot",
  ...common,
  rows,
  removed: [],
});
const change = (rows: RoomRow[], removed: string[] = []): LiveEvent<RoomRow> => ({
  kind: "change",
  ...common,
  rows,
  removed,
});
const saying = (error: string): JsonObject => ({ error, error_hint: "", checked_at: null });

describe("the rooms behind the table", () => {
  it("are those of the snapshot, then with each change", () => {
    const first = reduceRooms(NO_ROOMS_YET, [snapshot(room("a"), room("b"))], 0);
    const next = reduceRooms(first, [change([room("c")], ["a"]), change([room("b")])], 0);
    expect([...(next.rows?.keys() ?? [])]).toEqual(["b", "c"]);
    expect([...(first.rows?.keys() ?? [])]).toEqual(["a", "b"]);
  });

  it("are replaced by a later snapshot, which lights nothing up", () => {
    const first = reduceRooms(NO_ROOMS_YET, [snapshot(room("a", { people: 1 }))], 0);
    const next = reduceRooms(first, [snapshot(room("a", { people: 2 }), room("b"))], 1);
    expect(next.rows?.get("a")?.people).toBe(2);
    expect(next.touched.size).toBe(0);
  });

  it("stay unknown until a snapshot: a change alone would show too few", () => {
    expect(reduceRooms(NO_ROOMS_YET, [change([room("a")])], 0).rows).toBeNull();
  });

  it("do not change with other topics", () => {
    const state = reduceRooms(NO_ROOMS_YET, [snapshot(room("a"))], 0);
    expect(reduceRooms(state, [{ ...snapshot(), topic: "system" }], 0)).toBe(state);
  });

  it("remember for a moment which fields changed", () => {
    const state = reduceRooms(NO_ROOMS_YET, [snapshot(room("a"), room("b"))], 0);
    const lit = reduceRooms(
      state,
      [change([room("a", { people: 2, sid: "RM_x" }), room("b"), room("c")])],
      1_000,
    );
    expect(lit.touched.get("a")).toEqual({ fields: new Set(["people"]), at: 1_000 });
    expect(lit.touched.has("b")).toBe(false);
    expect(lit.touched.get("c")?.fields).toEqual(new Set(["name"]));
    const soon = reduceRooms(lit, [change([room("b", { people: 5 })])], 1_000 + FRESH_MS - 1);
    expect(soon.touched.get("a")?.at).toBe(1_000);
    expect(reduceRooms(soon, [change([])], 1_000 + FRESH_MS).touched.has("a")).toBe(false);
  });

  it("keep what was last said about LiveKit", () => {
    const state = reduceRooms(NO_ROOMS_YET, [{ ...snapshot(), body: saying("away") }], 0);
    expect(reduceRooms(state, [change([room("a")])], 0).source?.error).toBe("away");
    const back = { ...change([]), body: saying("") };
    expect(reduceRooms(state, [back], 0).source?.error).toBe("");
  });
});
