import { describe, expect, it } from "vitest";
import { parseEvent } from "../../src/live/protocol";
import { wireRoom } from "../rows";

function parse(kind: string, data: unknown) {
  return parseEvent(kind, JSON.stringify(data));
}

describe("events of the live stream", () => {
  it("reads a snapshot", () => {
    const event = parse("snapshot", {
      topic: "rooms",
      at: "2026-11-24T10:00:00.5Z",
      rows: [wireRoom("a", { expires_at: "2026-11-24T12:00:00Z", health: "no_agent" })],
      checked_at: "2026-11-24T09:59:59Z",
      error: null,
      error_hint: null,
    });
    expect(event).toMatchObject({
      kind: "snapshot",
      at: Date.parse("2026-11-24T10:00:00.500Z"),
      source: { error: "", hint: "", checkedAt: Date.parse("2026-11-24T09:59:59Z") },
      rows: [
        {
          name: "a",
          agentState: "listening",
          expiresAt: Date.parse("2026-11-24T12:00:00Z"),
          health: "no_agent",
          sessionId: "ses_a",
        },
      ],
    });
  });

  it("reads a change, and that it says nothing about LiveKit", () => {
    const event = parse("change", { topic: "rooms", upsert: [wireRoom("a")], remove: ["b"] });
    expect(event).toMatchObject({ kind: "change", remove: ["b"], source: null, at: null });
  });

  it("reads a change of a topic without rows", () => {
    expect(parse("change", { topic: "system", at: "2026-11-24T10:00:00Z" })).toMatchObject({
      topic: "system",
      upsert: [],
      remove: [],
    });
  });

  it("takes unknown values for unknown, and leaves out rows without a name", () => {
    const event = parse("snapshot", {
      topic: "rooms",
      rows: [wireRoom("a", { health: "on fire", people: "many", created_at: "soon" }), { name: 7 }],
    });
    expect(event).toMatchObject({ rows: [{ health: "unknown", people: 0, createdAt: null }] });
  });

  it.each([
    ["ping", { at: "2026-11-24T10:00:00Z" }],
    ["change", { rows: [] }],
    ["change", ["rooms"]],
  ])("takes %s %j for nothing", (kind, data) => {
    expect(parse(kind, data)).toBeNull();
  });

  it("takes what is no JSON for nothing", () => {
    expect(parseEvent("change", "{")).toBeNull();
  });
});
