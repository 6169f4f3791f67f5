import { type RefObject, useCallback, useLayoutEffect, useRef, useState } from "react";
import { shiftOf } from "./order";

export const ROW_PX = 40;
/** Rows drawn beyond the edges, so that fast scrolling shows no blank. */
const OVERSCAN = 8;

export interface Window {
  /** The rows to draw: from `start` up to, not including, `end`. */
  readonly start: number;
  readonly end: number;
  readonly onScroll: () => void;
  readonly reveal: (index: number) => void;
  /** When rows last moved by themselves (`performance.now()`), to tell a click from a mishap. */
  readonly movedAt: RefObject<number>;
}

/** Which rows of a long list to draw; keeps those in sight in place when others come or go. */
export function useWindow(
  scroller: RefObject<HTMLElement | null>,
  names: readonly string[],
  asked: unknown,
): Window {
  const [range, setRange] = useState({ first: 0, rows: 20 });
  const before = useRef({ names, asked });
  const movedAt = useRef(-Infinity);

  const measure = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    const first = Math.floor(element.scrollTop / ROW_PX);
    const rows = Math.ceil(element.clientHeight / ROW_PX);
    setRange((now) => (now.first === first && now.rows === rows ? now : { first, rows }));
  }, [scroller]);

  useLayoutEffect(() => {
    const element = scroller.current;
    const old = before.current;
    before.current = { names, asked };
    if (!element || old.names === names) return;
    if (old.asked !== asked) {
      element.scrollTop = 0;
    } else {
      movedAt.current = performance.now();
      const top = Math.floor(element.scrollTop / ROW_PX);
      const shift = element.scrollTop > 0 ? shiftOf(old.names, names, top) : 0;
      if (shift !== 0) element.scrollTop += shift * ROW_PX;
    }
    measure();
  }, [scroller, names, asked, measure]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [scroller, measure]);

  const reveal = useCallback(
    (index: number) => {
      const element = scroller.current;
      if (!element) return;
      const head = element.firstElementChild?.getBoundingClientRect().height ?? 0;
      const top = index * ROW_PX;
      const room = element.clientHeight - head;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + ROW_PX > element.scrollTop + room) element.scrollTop = top + ROW_PX - room;
    },
    [scroller],
  );

  return {
    start: Math.max(0, range.first - OVERSCAN),
    end: Math.min(names.length, range.first + range.rows + OVERSCAN),
    onScroll: measure,
    reveal,
    movedAt,
  };
}
