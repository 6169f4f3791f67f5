import type { ReactElement } from "react";
import type { Health } from "./row";

export const HEALTH_WORDS: Record<Health, string> = {
  no_agent: "No agent",
  expiring: "Expiring",
  ending: "Ending",
  unknown: "Unknown",
  empty: "Empty",
  ok: "Healthy",
};

// Each has its own shape, so that colour alone never carries the meaning.
const SHAPES: Record<Health, ReactElement> = {
  no_agent: (
    <>
      <path d="M8 2.2 14.4 13.4H1.6Z" />
      <path d="M8 6.6v3.1M8 11.5v.1" />
    </>
  ),
  expiring: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M8 4.6V8l2.3 1.6" />
    </>
  ),
  ending: (
    <>
      <path d="M5.2 3.7a6 6 0 1 0 5.6 0" />
      <path d="M8 1.8v5.4" />
    </>
  ),
  unknown: (
    <>
      <circle cx="8" cy="8" r="6" strokeDasharray="2.4 2.3" />
      <path d="M6.6 6.5c.2-1.9 3-1.7 2.8.1C9.3 7.6 8 7.6 8 8.9M8 11v.1" />
    </>
  ),
  empty: <circle cx="8" cy="8" r="6" />,
  ok: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="m5.4 8.2 1.8 1.8 3.5-3.7" />
    </>
  ),
};

export function HealthIcon({ health }: { readonly health: Health }) {
  return (
    <svg className="icon" data-health={health} viewBox="0 0 16 16" aria-hidden="true">
      {SHAPES[health]}
    </svg>
  );
}
