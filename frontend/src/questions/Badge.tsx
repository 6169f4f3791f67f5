import { type ReactElement, useEffect, useRef, useState } from "react";
import { type LiveHub, type Subscription, hub as sharedHub } from "../live/hub";
import { plain } from "../rooms/format";
import { type Asked, Questions } from "./asked";

const SHOWN = 3;

export interface BadgeProps {
  readonly liveUrl: string;
  readonly onOpen: (sessionId: string) => void;
  readonly onRefused: () => void;
  readonly hub?: LiveHub;
}

/** How many questions wait for a human, on every page; each leads to its session. */
export function Badge({ liveUrl, onOpen, onRefused, hub }: BadgeProps): ReactElement {
  const asked = useAsked(liveUrl, onRefused, hub);
  const count = asked.length;
  return (
    <section className="asked" aria-label="Questions to a human" hidden={count === 0}>
      <p className="asked-head" role="status">
        {count > 0 && (
          <>
            <span className="asked-count">{count}</span>
            {count === 1 ? " question waits for you" : " questions wait for you"}
          </>
        )}
      </p>
      <ul>
        {asked.slice(0, SHOWN).map((one) => (
          <li key={one.id}>
            <button type="button" onClick={() => onOpen(one.sessionId)}>
              {plain(one.action) || "A question"}
              {one.userId && <span className="asked-who"> · {plain(one.userId)}</span>}
            </button>
          </li>
        ))}
      </ul>
      {count > SHOWN && <p className="asked-more">and {count - SHOWN} more on the overview</p>}
    </section>
  );
}

function useAsked(
  liveUrl: string,
  onRefused: () => void,
  hub: LiveHub = sharedHub,
): readonly Asked[] {
  const [asked, setAsked] = useState<readonly Asked[]>([]);
  const subscription = useRef<Subscription | null>(null);
  const refused = useRef(onRefused);
  const url = useRef(liveUrl);
  refused.current = onRefused;
  url.current = liveUrl;
  useEffect(() => {
    const questions = new Questions();
    const made = hub.subscribe(url.current, {
      onEvent: () => undefined,
      onRaw: (kind, data) => {
        if (questions.take(kind, data)) setAsked(questions.all());
      },
      onStatus: () => undefined,
      onRefused: () => refused.current(),
    });
    subscription.current = made;
    return () => made.close();
  }, [hub]);
  useEffect(() => subscription.current?.update(liveUrl), [liveUrl]);
  return asked;
}
