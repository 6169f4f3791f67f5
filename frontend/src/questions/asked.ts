import { type JsonObject, moment, text } from "../lib/json";
import type { LiveEvent } from "../lib/live/events";

/** One question that a graph asks of a human. */
export interface Asked {
  readonly id: string;
  readonly sessionId: string;
  /** What is to be done; "" where the graph asks in a form of its own. */
  readonly action: string;
  /** Whom the agent talks to; "" is not known. */
  readonly userId: string;
  readonly at: number | null;
}

/** A row of the topic `questions`; null: it is no question. */
export function readAsked(row: JsonObject): Asked | null {
  const [id, sessionId] = [text(row.id), text(row.session_id)];
  if (id === "" || sessionId === "") return null;
  return {
    id,
    sessionId,
    action: text(row.action),
    userId: text(row.user_id),
    at: moment(row.asked_at),
  };
}

/** The questions after this event; the oldest first. */
export function reduceAsked(before: readonly Asked[], event: LiveEvent<Asked>): readonly Asked[] {
  if (event.topic !== "questions") return before;
  const rows = new Map(
    event.kind === "snapshot" ? [] : before.map((asked) => [asked.id, asked] as const),
  );
  for (const asked of event.rows ?? []) rows.set(asked.id, asked);
  for (const id of event.removed) rows.delete(id);
  return [...rows.values()].sort((one, two) => (one.at ?? 0) - (two.at ?? 0));
}
