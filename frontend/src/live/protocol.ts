/** The events of `GET /api/live`, checked where they enter. Times are milliseconds since 1970. */

export const HEALTHS = ["no_agent", "expiring", "ending", "unknown", "empty", "ok"] as const;
/** Worst first; the order in which rooms sort and filters are drawn. */
export type Health = (typeof HEALTHS)[number];

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

/** What the server itself knows the rows from: LiveKit. Null in an event: nothing new about it. */
export interface Source {
  /** Why LiveKit cannot be asked now; "" while it answers. */
  readonly error: string;
  readonly hint: string;
  /** Its last answer; null until there was one. */
  readonly checkedAt: number | null;
}

interface Common {
  readonly topic: string;
  readonly source: Source | null;
  readonly at: number | null;
}

export interface Snapshot extends Common {
  readonly kind: "snapshot";
  readonly rows: readonly RoomRow[];
}

export interface Change extends Common {
  readonly kind: "change";
  readonly upsert: readonly RoomRow[];
  readonly remove: readonly string[];
}

export type LiveEvent = Snapshot | Change;

type Json = Record<string, unknown>;

/** The event, or null for one that carries nothing for us (a ping, a kind we do not know). */
export function parseEvent(kind: string, data: string): LiveEvent | null {
  if (kind !== "snapshot" && kind !== "change") return null;
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch {
    return null;
  }
  if (!isObject(body) || typeof body.topic !== "string") return null;
  const common = { topic: body.topic, source: source(body), at: moment(body.at) };
  if (kind === "snapshot") return { kind, ...common, rows: rows(body.rows) };
  const remove = Array.isArray(body.remove) ? body.remove.filter((name) => isText(name)) : [];
  return { kind, ...common, upsert: rows(body.upsert), remove };
}

function source(body: Json): Source | null {
  if (!("error" in body)) return null;
  return {
    error: text(body.error),
    hint: text(body.error_hint),
    checkedAt: moment(body.checked_at),
  };
}

function rows(value: unknown): RoomRow[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item) => (isObject(item) && isText(item.name) ? [row(item)] : []));
}

function row(item: Json): RoomRow {
  return {
    name: text(item.name),
    sid: text(item.sid),
    agent: text(item.agent),
    agentState: text(item.agent_state),
    people: count(item.people),
    agents: count(item.agents),
    publishers: count(item.publishers),
    createdAt: moment(item.created_at),
    expiresAt: moment(item.expires_at),
    health: HEALTHS.find((health) => health === item.health) ?? "unknown",
    healthText: text(item.health_text),
    sessionId: text(item.session_id),
    adopted: item.adopted === true,
  };
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function moment(value: unknown): number | null {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}
