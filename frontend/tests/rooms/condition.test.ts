import { describe, expect, it } from "vitest";
import { conditionOf } from "../../src/rooms/condition";

const FINE = { error: "", hint: "", checkedAt: 5 };

describe("what the reader must know about the rows", () => {
  it("is nothing special while all is well", () => {
    expect(conditionOf({ kind: "live" }, FINE, true)).toEqual({ kind: "live" });
    expect(conditionOf({ kind: "live" }, null, true)).toEqual({ kind: "live" });
  });

  it("is that they are still to come", () => {
    expect(conditionOf({ kind: "connecting" }, null, false).kind).toBe("loading");
    const notYet = { ...FINE, checkedAt: null };
    expect(conditionOf({ kind: "live" }, notYet, true).kind).toBe("loading");
  });

  it("is that LiveKit is away, and since when", () => {
    const source = { error: "LiveKit is away.", hint: "Start it.", checkedAt: 5 };
    expect(conditionOf({ kind: "live" }, source, true)).toEqual({
      kind: "source-lost",
      error: "LiveKit is away.",
      hint: "Start it.",
      since: 5,
    });
  });

  it("is first of all that this tab has lost the server", () => {
    const source = { error: "LiveKit is away.", hint: "", checkedAt: 5 };
    expect(conditionOf({ kind: "retrying", since: 9 }, source, true)).toEqual({
      kind: "disconnected",
      since: 9,
    });
    expect(conditionOf({ kind: "refused", since: 9 }, null, false)).toEqual({
      kind: "disconnected",
      since: null,
    });
  });
});
