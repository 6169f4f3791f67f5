import type { RoomRow } from "../src/rooms/row";

/** A room as the table knows it; what a test does not name is as usual. */
export function room(name: string, with_: Partial<RoomRow> = {}): RoomRow {
  return {
    name,
    sid: `RM_${name}`,
    agent: "pm-agent",
    agentState: "",
    people: 1,
    agents: 1,
    publishers: 1,
    createdAt: Date.parse("2026-11-24T10:00:00Z"),
    expiresAt: null,
    health: "ok",
    healthText: "",
    sessionId: "",
    adopted: false,
    ...with_,
  };
}

/** A room as the server writes it. */
export function wireRoom(name: string, with_: Record<string, unknown> = {}) {
  return {
    name,
    sid: `RM_${name}`,
    agent: "pm-agent",
    agent_state: "listening",
    people: 1,
    agents: 1,
    publishers: 2,
    created_at: "2026-11-24T10:00:00Z",
    expires_at: null,
    health: "ok",
    health_text: "Participant and agent connected.",
    session_id: `ses_${name}`,
    adopted: false,
    ...with_,
  };
}

export function byName(rows: readonly RoomRow[]): ReadonlyMap<string, RoomRow> {
  return new Map(rows.map((row) => [row.name, row]));
}
