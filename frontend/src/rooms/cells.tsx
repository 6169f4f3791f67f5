import { type ReactNode, useSyncExternalStore } from "react";
import type { ServerClock } from "./clock";
import { duration } from "./format";
import { FRESH_MS, type ShownField, type Touch } from "./state";

/** A value that lights up for a moment after one of its fields changed. */
export function Value({
  touch,
  fields,
  children,
}: {
  readonly touch: Touch | undefined;
  readonly fields: readonly ShownField[];
  readonly children: ReactNode;
}) {
  const at = touch && fields.some((field) => touch.fields.has(field)) ? touch.at : 0;
  // A row that scrolls back into sight later must not light up again.
  const fresh = Date.now() - at < FRESH_MS;
  return (
    <span key={at} className={fresh ? "value changed" : "value"}>
      {children}
    </span>
  );
}

/** How long a room is open, ticking by the server's clock. */
export function Age({ at, clock }: { readonly at: number | null; readonly clock: ServerClock }) {
  const now = useSyncExternalStore(clock.subscribe, clock.seconds);
  return at === null ? <Absent /> : duration(now - Math.floor(at / 1000));
}

/** How long a session has left. */
export function Remaining({
  at,
  clock,
}: {
  readonly at: number | null;
  readonly clock: ServerClock;
}) {
  const now = useSyncExternalStore(clock.subscribe, clock.seconds);
  if (at === null) return <Absent />;
  const left = Math.floor(at / 1000) - now;
  return left <= 0 ? "due" : `in ${duration(left)}`;
}

export function Absent() {
  return <span className="absent">–</span>;
}
