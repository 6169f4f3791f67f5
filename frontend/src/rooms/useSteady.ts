import { useEffect, useState } from "react";
import type { LiveStatus } from "../lib/live/connection";

/** A loss this short (a fresh ticket, a restart of a proxy) is not shown. */
const PATIENCE_MS = 1_500;

/** The status as it is shown: a return at once, a loss only when it lasts. */
export function useSteady(status: LiveStatus): LiveStatus {
  const [shown, setShown] = useState(status);
  const lost = status.kind === "retrying" || status.kind === "refused";
  const shownLost = shown.kind === "retrying" || shown.kind === "refused";
  if (shown !== status && (!lost || shownLost)) setShown(status);
  useEffect(() => {
    if (!lost) return;
    const timer = setTimeout(() => setShown(status), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [lost, status]);
  return shown;
}
