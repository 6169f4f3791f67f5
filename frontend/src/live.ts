import { type Instance, instances } from "./instances";
import { coalesce } from "./live/coalesce";
import type { LiveStatus } from "./live/connection";
import { type LiveHub, hub as sharedHub } from "./live/hub";
import css from "./live/live.css?inline";
import type { ComponentArgs } from "./streamlit";

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
export function liveComponent(hub: LiveHub) {
  return instances<Args>((first) => listen(hub, first));
}

export default liveComponent(sharedHub);

function listen(hub: LiveHub, first: Args): Instance<Args> {
  let args = first;
  let ticks = 0;
  let pause: ReturnType<typeof setTimeout> | undefined;
  const note = drawNote(first.parentElement);
  const tick = coalesce(() => {
    ticks += 1;
    args.setTriggerValue("tick", ticks);
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
    onRefused: () => args.setTriggerValue("ticket", Date.now()),
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
