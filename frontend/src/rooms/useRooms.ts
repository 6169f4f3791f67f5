import { useEffect, useEffectEvent, useRef, useState } from "react";
import { coalesce } from "../live/coalesce";
import type { LiveStatus } from "../live/connection";
import { type LiveHub, type Subscription, hub as sharedHub } from "../live/hub";
import type { LiveEvent } from "../live/protocol";
import { ServerClock } from "./clock";
import { NO_ROOMS_YET, type RoomsState, reduceRooms } from "./state";

/** At most one drawing in this time: 5,000 rooms that all change must not stall the tab. */
const DRAW_EVERY_MS = 100;

export interface LiveRooms extends RoomsState {
  readonly status: LiveStatus;
  readonly clock: ServerClock;
  retryNow(): void;
}

/** The rooms of a live URL. A fresh URL for the same topics changes nothing that is seen. */
export function useRooms(
  liveUrl: string,
  onRefused: () => void,
  hub: LiveHub = sharedHub,
): LiveRooms {
  const [state, setState] = useState(NO_ROOMS_YET);
  const [status, setStatus] = useState<LiveStatus>({ kind: "connecting" });
  const [clock] = useState(() => new ServerClock());
  const subscription = useRef<Subscription | null>(null);
  const refused = useEffectEvent(onRefused);
  const subscribe = useEffectEvent((listener: Parameters<LiveHub["subscribe"]>[1]) =>
    hub.subscribe(liveUrl, listener),
  );

  useEffect(() => {
    let queue: LiveEvent[] = [];
    const draw = coalesce(() => {
      const events = queue;
      queue = [];
      const now = Date.now();
      setState((before) => reduceRooms(before, events, now));
    }, DRAW_EVERY_MS);
    const opened = subscribe({
      onEvent: (event) => {
        if (event.at !== null) clock.observe(event.at);
        queue.push(event);
        draw();
      },
      onStatus: setStatus,
      onRefused: () => refused(),
    });
    subscription.current = opened;
    return () => {
      draw.cancel();
      opened.close();
    };
  }, [clock]);

  useEffect(() => subscription.current?.update(liveUrl), [liveUrl]);

  return { ...state, status, clock, retryNow: () => subscription.current?.retryNow() };
}
