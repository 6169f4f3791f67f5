import type { LiveStatus } from "../lib/live/connection";
import type { Source } from "./row";

/** What the reader must know about the rows, in one word and the facts to it. */
export type Condition =
  | { readonly kind: "loading" }
  | { readonly kind: "live" }
  /** This tab has lost the server. */
  | { readonly kind: "disconnected"; readonly since: number | null }
  /** The server has lost LiveKit: the rows are its last answer. */
  | {
      readonly kind: "source-lost";
      readonly error: string;
      readonly hint: string;
      readonly since: number | null;
    };

export function conditionOf(
  status: LiveStatus,
  source: Source | null,
  hasRows: boolean,
): Condition {
  if (status.kind === "retrying" || status.kind === "refused") {
    return { kind: "disconnected", since: hasRows ? status.since : null };
  }
  if (source && source.error !== "") {
    return {
      kind: "source-lost",
      error: source.error,
      hint: source.hint,
      since: source.checkedAt,
    };
  }
  const waiting = !hasRows || (source !== null && source.checkedAt === null);
  return { kind: waiting ? "loading" : "live" };
}
