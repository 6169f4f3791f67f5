/**
 * Calls `run` at once, then at most once in `interval_ms`, and never forgets the last ask.
 */
export function coalesce(run: () => void, intervalMs: number): { (): void; cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting = false;
  const open = (): void => {
    timer = undefined;
    if (!waiting) return;
    waiting = false;
    ask();
  };
  const ask = (): void => {
    if (timer !== undefined) {
      waiting = true;
      return;
    }
    timer = setTimeout(open, intervalMs);
    run();
  };
  return Object.assign(ask, {
    cancel: () => {
      clearTimeout(timer);
      timer = undefined;
      waiting = false;
    },
  });
}
