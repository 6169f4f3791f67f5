import { type ReactNode, useSyncExternalStore } from "react";
import { duration } from "../lib/format";
import type { ServerClock } from "./clock";
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

/** How many last characters of a name are never cut off: they tell names apart. */
const TAIL = 8;

/** A name that loses its middle, not its end, where there is no room for all of it. */
export function Name({ text }: { readonly text: string }) {
  // Only where a cut cannot change how the text reads: other scripts join across it.
  if (text.length < 3 * TAIL || !/^[\x20-\x7e]+$/.test(text)) return <bdi>{text}</bdi>;
  return (
    <>
      <span className="head-part">{text.slice(0, -TAIL)}</span>
      {text.slice(-TAIL)}
    </>
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
