import type { ComponentArgs } from "./streamlit";

/**
 * Streamlit 1.67 sends all that is set within one task as one message, for the first fragment that
 * it names (`WidgetStateManager.scheduleFlush`): what concerns the page, or another fragment, is
 * never run, and a click in it is lost. So what our components set goes in turns, apart from each
 * other; and what nobody asked for waits while somebody presses a button or a key.
 */

const APART_MS = 12; // Streamlit waits for 0, which browsers make 4
const PRESSED_MS = 60; // from a press to what Streamlit makes of it
const HELD_MS = 1_000; // a button that is held down does not hold up everything

type Send = () => void;

/** Gives turns; one for all components of a page. */
export class Turns {
  #asked: Send[] = [];
  #unasked: Send[] = [];
  #last = Number.NEGATIVE_INFINITY;
  #pressed = Number.NEGATIVE_INFINITY;
  #held = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `unasked`: nobody waits for it. Sent at once where nothing is in its way. */
  take(send: Send, { unasked = false } = {}): void {
    (unasked ? this.#unasked : this.#asked).push(send);
    if (this.#timer === undefined) this.#next();
  }

  /** Somebody presses something, or has let go of it. */
  press(held: boolean): void {
    this.#pressed = performance.now();
    this.#held = held;
  }

  #next(): void {
    this.#timer = undefined;
    const now = performance.now();
    const free = this.#last + APART_MS;
    const quiet = this.#pressed + (this.#held ? HELD_MS : PRESSED_MS);
    const send =
      now < free
        ? undefined
        : (this.#asked.shift() ?? (now < quiet ? undefined : this.#unasked.shift()));
    if (send !== undefined) {
      this.#last = now;
      send();
    }
    if (this.#asked.length > 0) this.#timer = setTimeout(() => this.#next(), APART_MS);
    else if (this.#unasked.length > 0) {
      const wait = Math.max(APART_MS, quiet - now);
      this.#timer = setTimeout(() => this.#next(), wait);
    }
  }
}

export const turns = new Turns();

/** The same, but what is set goes in turns. */
export function inTurns<Args extends ComponentArgs<unknown>>(args: Args): Args {
  return {
    ...args,
    setStateValue: (name, value) => turns.take(() => args.setStateValue(name, value)),
    setTriggerValue: (name, value) => turns.take(() => args.setTriggerValue(name, value)),
  };
}

for (const [kind, held] of [
  ["pointerdown", true],
  ["pointerup", false],
  ["pointercancel", false],
  ["keydown", false],
] as const)
  document.addEventListener(kind, () => turns.press(held), { capture: true, passive: true });
