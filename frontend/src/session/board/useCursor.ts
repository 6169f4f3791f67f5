import { useCallback, useEffect, useRef, useState } from "react";
import type { Moment, SessionModel } from "../model/types";

export const SPEEDS = [1, 2, 4] as const;

export interface Cursor {
  readonly moment: Moment;
  /** How fast it is replayed; 0: it stands. */
  readonly speed: number;
  go(moment: Moment): void;
  play(speed: number): void;
}

/** Which moment is looked at: live, one that was chosen, or one that goes on by itself. */
export function useCursor(model: SessionModel, first: Moment): Cursor {
  const [moment, set] = useState<Moment>(first);
  const [speed, setSpeed] = useState(0);
  const end = useRef(model.to);
  end.current = model.to;
  const open = useRef(model.open);
  open.current = model.open;

  useEffect(() => {
    if (speed === 0) return;
    let [frame, before] = [0, performance.now()];
    const step = (now: number): void => {
      const passed = (now - before) * speed;
      before = now;
      set((at) => (at === null ? null : Math.min(at + passed, end.current)));
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [speed]);

  // What has caught up goes on as live, or stands at the end.
  useEffect(() => {
    if (speed > 0 && moment !== null && moment >= end.current) {
      setSpeed(0);
      if (open.current) set(null);
    }
  }, [speed, moment]);

  const go = useCallback((next: Moment) => {
    setSpeed(0);
    set(next);
  }, []);
  const play = useCallback(
    (next: number) => {
      if (next > 0) set((at) => (at === null || at >= end.current ? model.from : at));
      setSpeed(next);
    },
    [model.from],
  );
  return { moment, speed, go, play };
}
