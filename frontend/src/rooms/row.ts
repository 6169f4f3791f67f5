import { type JsonObject, moment, number, text } from "../lib/json";
import type { LiveEvent } from "../lib/live/events";

export const HEALTHS = ["no_agent", "expiring", "ending", "unknown", "empty", "ok"] as const;
/** Worst first; the order in which rooms sort and filters are drawn. */
export type Health = (typeof HEALTHS)[number];

/** A room as the topic `rooms` tells it. Times are milliseconds since 1970. */
export interface RoomRow {
  readonly name: string;
  readonly sid: string;
  readonly agent: string;
  readonly agentState: string;
  readonly people: number;
  readonly agents: number;
  readonly publishers: number;
  readonly createdAt: number | null;
  readonly expiresAt: number | null;
  readonly health: Health;
  readonly healthText: string;
  readonly sessionId: string;
  readonly adopted: boolean;
}

/** What the server itself knows the rows from: LiveKit. */
export interface Source {
  /** Why LiveKit cannot be asked now; "" while it answers. */
  readonly error: string;
  readonly hint: string;
  /** Its last answer; null until there was one. */
  readonly checkedAt: number | null;
}

/** A row without a name is none. */
export function readRoom(row: JsonObject): RoomRow | null {
  const name = text(row.name);
  if (name === "") return null;
  return {
    name,
    sid: text(row.sid),
    agent: text(row.agent),
    agentState: text(row.agent_state),
    people: number(row.people) ?? 0,
    agents: number(row.agents) ?? 0,
    publishers: number(row.publishers) ?? 0,
    createdAt: moment(row.created_at),
    expiresAt: moment(row.expires_at),
    health: HEALTHS.find((health) => health === row.health) ?? "unknown",
    healthText: text(row.health_text),
    sessionId: text(row.session_id),
    adopted: row.adopted === true,
  };
}

/** What an event says of LiveKit itself; null: nothing new. */
export function readSource({ body }: LiveEvent<RoomRow>): Source | null {
  if (!("error" in body)) return null;
  return {
    error: text(body.error),
    hint: text(body.error_hint),
    checkedAt: moment(body.checked_at),
  };
}
