import { useEffect, useMemo, useRef } from "react";

export interface Report<Value> {
  later(value: Value): void;
  cancel(): void;
}

/** Gives Python the last value, `ms` after the last change: each one costs a rerun there. */
export function useReport<Value>(send: (value: Value) => void, ms: number): Report<Value> {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const latest = useRef(send);
  useEffect(() => {
    latest.current = send;
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  return useMemo(
    () => ({
      later: (value) => {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => latest.current(value), ms);
      },
      cancel: () => clearTimeout(timer.current),
    }),
    [ms],
  );
}
