import { type ReactElement, useState } from "react";
import { plain } from "../lib/format";
import type { LiveConnection } from "../lib/live/connection";
import { useSubscription } from "../lib/live/useSubscription";
import { type Asked, readAsked, reduceAsked } from "./asked";

const SHOWN = 3;

export interface BadgeProps {
  readonly ticket: string;
  readonly onOpen: (sessionId: string) => void;
  readonly onRefused: () => void;
  /** Tests bring their own. */
  readonly connection?: LiveConnection;
}

/** How many questions wait for a human, on every page; each leads to its session. */
export function Badge({ ticket, onOpen, onRefused, connection }: BadgeProps): ReactElement {
  const [asked, setAsked] = useState<readonly Asked[]>([]);
  useSubscription<Asked>(
    ticket,
    {
      readRow: readAsked,
      onEvent: (event) => setAsked((before) => reduceAsked(before, event)),
      onStatus: () => undefined,
      onRefused,
    },
    connection,
  );
  const count = asked.length;
  return (
    <section className="asked" aria-label="Pending questions" hidden={count === 0}>
      <p className="asked-head" role="status">
        {count > 0 && (
          <>
            <span className="asked-count">{count}</span>
            {count === 1 ? " pending question" : " pending questions"}
          </>
        )}
      </p>
      <ul>
        {asked.slice(0, SHOWN).map((one) => (
          <li key={one.id}>
            <button type="button" onClick={() => onOpen(one.sessionId)}>
              {plain(one.action) || "Question"}
              {one.userId && <span className="asked-who"> · {plain(one.userId)}</span>}
            </button>
          </li>
        ))}
      </ul>
      {count > SHOWN && <p className="asked-more">{count - SHOWN} more on the overview</p>}
    </section>
  );
}
