import { describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/lib/json";
import { readEvent } from "../../src/lib/live/events";
import { type RoomRow, readRoom, readSource } from "../../src/rooms/row";
import { wireRoom } from "../rows";

function sourceOf(body: JsonObject) {
  const event = readEvent<RoomRow>("snapshot", { topic: "rooms", ...body }, readRoom);
  return event && readSource(event);
}

describe("a room as it is told", () => {
  it("is read", () => {
    expect(
      readRoom(wireRoom("a", { expires_at: "2026-11-24T12:00:00Z", health: "no_agent" })),
    ).toMatchObject({
      name: "a",
      agentState: "listening",
      expiresAt: Date.parse("2026-11-24T12:00:00Z"),
      health: "no_agent",
      sessionId: "ses_a",
    });
  });

  it("is none without a name, and unknown where its values are", () => {
    expect(readRoom({ name: 7 })).toBeNull();
    expect(readRoom({ name: "" })).toBeNull();
    expect(
      readRoom(wireRoom("a", { health: "on fire", people: "many", created_at: "soon" })),
    ).toMatchObject({ health: "unknown", people: 0, createdAt: null });
  });
});

describe("what is told of LiveKit", () => {
  it("is its last answer, and what is wrong with it", () => {
    const checked_at = "2026-11-24T09:59:59Z";
    expect(sourceOf({ checked_at, error: null, error_hint: null })).toEqual({
      error: "",
      hint: "",
      checkedAt: Date.parse(checked_at),
    });
    expect(sourceOf({ checked_at: null, error: "away", error_hint: "wait" })).toEqual({
      error: "away",
      hint: "wait",
      checkedAt: null,
    });
  });

  it("is nothing new where nothing is said", () => {
    expect(sourceOf({})).toBeNull();
  });
});
