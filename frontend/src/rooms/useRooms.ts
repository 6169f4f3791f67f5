import { useEffect, useState } from "react";
import { coalesce } from "../lib/coalesce";
import type { LiveConnection, LiveStatus } from "../lib/live/connection";
import type { LiveEvent } from "../lib/live/events";
import { useSubscription } from "../lib/live/useSubscription";
import { ServerClock } from "./clock";
import { type RoomRow, readRoom } from "./row";
import { NO_ROOMS_YET, type RoomsState, reduceRooms } from "./state";

/** At most one drawing in this time: 5,000 rooms that all change must not stall the tab. */
const DRAW_EVERY_MS = 100;

export interface LiveRooms extends RoomsState {
  readonly status: LiveStatus;
  readonly clock: ServerClock;
  retryNow(): void;
}

/** The rooms of a live ticket. */
export function useRooms(
  ticket: string,
  onRefused: () => void,
  connection?: LiveConnection,
): LiveRooms {
  const [state, setState] = useState(NO_ROOMS_YET);
  const [status, setStatus] = useState<LiveStatus>({ kind: "connecting" });
  const [clock] = useState(() => new ServerClock());
  const [incoming] = useState(() => {
    let queue: LiveEvent<RoomRow>[] = [];
    const draw = coalesce(() => {
      const events = queue;
      queue = [];
      const now = Date.now();
      setState((before) => reduceRooms(before, events, now));
    }, DRAW_EVERY_MS);
    const add = (event: LiveEvent<RoomRow>): void => {
      queue.push(event);
      draw();
    };
    return { add, cancel: () => draw.cancel() };
  });
  useEffect(() => incoming.cancel, [incoming]);
  const retryNow = useSubscription<RoomRow>(
    ticket,
    {
      readRow: readRoom,
      onEvent: (event) => {
        if (event.at !== null) clock.observe(event.at);
        incoming.add(event);
      },
      onStatus: setStatus,
      onRefused,
    },
    connection,
  );
  return { ...state, status, clock, retryNow };
}
