import type { LiveEvent } from "../lib/live/events";
import { type RoomRow, readSource, type Source } from "./row";

/** The fields whose change is shown for a moment in the cell that holds them. */
const SHOWN = [
  "name",
  "agent",
  "agentState",
  "people",
  "publishers",
  "expiresAt",
  "health",
] as const;
export type ShownField = (typeof SHOWN)[number];

/** How long a change lights up. The style sheet fades in the same time. */
export const FRESH_MS = 1_600;

/** Which fields of a row changed lately; `at` = when, in milliseconds since 1970. */
export interface Touch {
  readonly fields: ReadonlySet<ShownField>;
  readonly at: number;
}

export interface RoomsState {
  /** Null until the first snapshot. */
  readonly rows: ReadonlyMap<string, RoomRow> | null;
  readonly touched: ReadonlyMap<string, Touch>;
  /** Whether the server itself can see LiveKit; null while it says nothing about it. */
  readonly source: Source | null;
}

export const NO_ROOMS_YET: RoomsState = { rows: null, touched: new Map(), source: null };

/** The state after these events. Those of other topics, and changes before a snapshot, are void. */
export function reduceRooms(
  state: RoomsState,
  events: readonly LiveEvent<RoomRow>[],
  now: number,
): RoomsState {
  const relevant = events.filter((event) => event.topic === "rooms");
  if (relevant.length === 0) return state;
  let rows = state.rows ? new Map(state.rows) : null;
  const touched = new Map([...state.touched].filter(([, touch]) => now - touch.at < FRESH_MS));
  let { source } = state;
  for (const event of relevant) {
    source = readSource(event) ?? source;
    if (event.kind === "snapshot") {
      rows = new Map(event.rows?.map((row) => [row.name, row]));
      touched.clear();
    } else if (rows) {
      for (const row of event.rows ?? []) {
        const fields = changedFields(rows.get(row.name), row);
        if (fields.size > 0) touched.set(row.name, { fields, at: now });
        rows.set(row.name, row);
      }
      for (const name of event.removed) rows.delete(name);
    }
  }
  return { rows, touched, source };
}

/** Of a room that is new, only the name. */
function changedFields(old: RoomRow | undefined, row: RoomRow): ReadonlySet<ShownField> {
  if (!old) return new Set(["name"]);
  return new Set(SHOWN.filter((field) => old[field] !== row[field]));
}
