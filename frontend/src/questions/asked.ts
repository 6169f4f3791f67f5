import { isObject, moment } from "../session/model/json";

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

/** What the topic `questions` tells, folded; the oldest question first. */
export class Questions {
  readonly #rows = new Map<string, Asked>();

  /** Takes a raw event of the live stream; true: something changed. */
  take(kind: string, data: string): boolean {
    let body: unknown;
    try {
      body = JSON.parse(data);
    } catch {
      return false;
    }
    if (!isObject(body) || body.topic !== "questions") return false;
    if (kind === "snapshot") this.#rows.clear();
    else if (kind !== "change") return false;
    for (const row of list(kind === "snapshot" ? body.rows : body.upsert)) {
      const asked = read(row);
      if (asked) this.#rows.set(asked.id, asked);
    }
    for (const id of list(body.remove)) if (typeof id === "string") this.#rows.delete(id);
    return true;
  }

  all(): readonly Asked[] {
    return [...this.#rows.values()].sort((one, two) => (one.at ?? 0) - (two.at ?? 0));
  }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function read(row: unknown): Asked | null {
  if (!isObject(row) || typeof row.id !== "string" || typeof row.session_id !== "string")
    return null;
  return {
    id: row.id,
    sessionId: row.session_id,
    action: text(row.action),
    userId: text(row.user_id),
    at: moment(row.asked_at),
  };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
