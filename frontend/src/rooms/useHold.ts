import { useCallback, useEffect, useRef, useState } from "react";

/** After the last movement over the rows, or the last key, the order stays this long. */
export const HOLD_MS = 4_000;
/** When the pointer has left the rows. */
const LEAVE_MS = 400;

export interface Hold {
  /** Whether rows must stay where they are, because somebody is aiming at one. */
  readonly held: boolean;
  readonly touch: () => void;
  readonly leave: () => void;
  readonly release: () => void;
}

export function useHold(): Hold {
  const [held, setHeld] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const holdFor = useCallback((ms: number) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setHeld(false), ms);
  }, []);
  const touch = useCallback(() => {
    setHeld(true);
    holdFor(HOLD_MS);
  }, [holdFor]);
  const leave = useCallback(() => holdFor(LEAVE_MS), [holdFor]);
  const release = useCallback(() => {
    clearTimeout(timer.current);
    setHeld(false);
  }, []);
  useEffect(() => () => clearTimeout(timer.current), []);
  return { held, touch, leave, release };
}
