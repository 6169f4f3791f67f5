import { type Instance, instances } from "./instances";
import { coalesce } from "./live/coalesce";
import type { LiveStatus } from "./live/connection";
import { type LiveHub, hub as sharedHub } from "./live/hub";
import css from "./live/live.css?inline";
import type { ComponentArgs } from "./streamlit";
import { turns as sharedTurns, type Turns } from "./turns";

export interface LiveData {
  readonly liveUrl: string;
  readonly maxPerSecond: number;
}

type Args = ComponentArgs<LiveData>;

/** A loss shorter than this is not worth a word. */
export const NOTE_AFTER_MS = 3_000;

/**
 * Says `tick` when something changed, so that Python draws its part of the page again, and
 * `ticket` when it needs a fresh URL. Each opening of the stream is a tick too, the first as
 * well: what happened since the page was drawn, or while the stream was lost, is not known.
 */
export function liveComponent(hub: LiveHub, turns: Turns) {
  return instances<Args>((first) => listen(hub, turns, first));
}

export default liveComponent(sharedHub, sharedTurns);

function listen(hub: LiveHub, turns: Turns, first: Args): Instance<Args> {
  let args = first;
  let ticks = 0;
  let pause: ReturnType<typeof setTimeout> | undefined;
  const note = drawNote(first.parentElement);
  const tick = coalesce(() => {
    ticks += 1;
    turns.take(() => args.setTriggerValue("tick", ticks), { unasked: true });
  }, 1000 / first.data.maxPerSecond);
  const subscription = hub.subscribe(first.data.liveUrl, {
    onEvent: (event) => {
      if (event.kind === "change") tick();
    },
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
      subscription.update(next.data.liveUrl);
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
  line.textContent = "Live updates paused, retrying…";
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
