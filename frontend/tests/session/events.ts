import { traceEvent } from "../../src/session/data/source";
import type { TraceEvent } from "../../src/session/model/types";
import recorded from "./trace.json";

/** A real stand-up by text with pm-agent, as the dashboard told it. */
export function standUp(): TraceEvent[] {
  return recorded.events.flatMap((row) => traceEvent(row) ?? []);
}

let count = 0;

/** One event of an agent, `ms` after 2026-01-01. */
export function event(kind: string, ms: number, data: object = {}): TraceEvent {
  count += 1;
  const at = new Date(Date.UTC(2026, 0, 1) + ms).toISOString();
  const made = traceEvent({ id: `e:${count}`, kind, at, source: "agent", data: { ...data } });
  if (made === null) throw new Error("no event");
  return made;
}
