/** From moments to pixels and back: the window that is seen. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

export const LEAST_MS = 20;

export function toX(window: Window, width: number, at: number): number {
  return ((at - window.from) / Math.max(window.to - window.from, 1e-6)) * width;
}

export function toTime(window: Window, width: number, x: number): number {
  return window.from + (x / Math.max(width, 1)) * (window.to - window.from);
}

/** Nearer or farther around a moment that keeps its place; never out of what there is. */
export function zoomed(window: Window, all: Window, factor: number, around: number): Window {
  const span = window.to - window.from;
  const most = Math.max(all.to - all.from, LEAST_MS);
  const next = Math.min(Math.max(span * factor, LEAST_MS), most);
  const share = span > 0 ? (around - window.from) / span : 0.5;
  return within({ from: around - next * share, to: around + next * (1 - share) }, all);
}

export function moved(window: Window, all: Window, by: number): Window {
  return within({ from: window.from + by, to: window.to + by }, all);
}

function within(window: Window, all: Window): Window {
  const span = window.to - window.from;
  const from = Math.max(all.from, Math.min(window.from, Math.max(all.to, all.from + span) - span));
  return { from, to: from + span };
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 18e5, 36e5, 72e5,
  216e5, 864e5,
];

/** The moments of the marks on the axis, about `count` of them, counted from `zero`. */
export function ticks(window: Window, zero: number, count: number): number[] {
  const span = window.to - window.from;
  if (!Number.isFinite(span) || span <= 0) return [];
  const step = STEPS.find((one) => span / one <= count) ?? span;
  const first = Math.ceil((window.from - zero) / step) * step + zero;
  const found: number[] = [];
  for (let at = first; at <= window.to && found.length < 200; at += step) found.push(at);
  return found;
}
