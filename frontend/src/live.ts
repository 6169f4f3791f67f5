import { type Instance, instances } from "./instances";
import { coalesce } from "./lib/coalesce";
import {
  type LiveConnection,
  type LiveStatus,
  connection as sharedConnection,
} from "./lib/live/connection";
import css from "./live.css?inline";
import type { ComponentArgs } from "./streamlit";
import { turns as sharedTurns, type Turns } from "./turns";

export interface LiveData {
  readonly ticket: string;
  readonly maxPerSecond: number;
}

type Args = ComponentArgs<LiveData>;

/** A loss shorter than this is not worth a word. */
export const NOTE_AFTER_MS = 3_000;

/**
 * Says `tick` when something changed, so that Python draws its part of the page again, and
 * `ticket` when it needs a fresh one. Each beginning of the subscription is a tick too, the first as
 * well: what happened since the page was drawn, or while the connection was lost, is not known.
 */
export function liveComponent(connection: LiveConnection, turns: Turns) {
  return instances<Args>((first) => listen(connection, turns, first));
}

export default liveComponent(sharedConnection, sharedTurns);

function listen(connection: LiveConnection, turns: Turns, first: Args): Instance<Args> {
  let args = first;
  let ticks = 0;
  let pause: ReturnType<typeof setTimeout> | undefined;
  const note = drawNote(first.parentElement);
  const tick = coalesce(() => {
    ticks += 1;
    turns.take(() => args.setTriggerValue("tick", ticks), { unasked: true });
  }, 1000 / first.data.maxPerSecond);
  const subscription = connection.subscribe(first.data.ticket, {
    readRow: null,
    onEvent: tick,
    onStatus: (status) => {
      if (status.kind === "live") tick();
      clearTimeout(pause);
      if (!isLost(status)) note.line.hidden = true;
      else if (note.line.hidden)
        pause = setTimeout(() => (note.line.hidden = false), NOTE_AFTER_MS);
    },
    onRefused: () =>
      turns.take(() => args.setTriggerValue("ticket", Date.now()), { unasked: true }),
  });
  return {
    update: (next) => {
      args = next;
      subscription.update(next.data.ticket);
    },
    destroy: () => {
      clearTimeout(pause);
      tick.cancel();
      subscription.close();
      note.remove();
    },
  };
}

function isLost(status: LiveStatus): boolean {
  return status.kind === "retrying" || status.kind === "refused";
}

function drawNote(parent: Args["parentElement"]): { line: HTMLElement; remove: () => void } {
  const style = document.createElement("style");
  style.textContent = css;
  const line = document.createElement("div");
  line.setAttribute("role", "status");
  line.className = "note";
  line.textContent = "Reconnecting to live updates…";
  line.hidden = true;
  parent.append(style, line);
  return {
    line,
    remove: () => {
      style.remove();
      line.remove();
    },
  };
}
