import { useEffect, useEffectEvent, useRef } from "react";
import {
  type LiveConnection,
  type LiveListener,
  type Subscription,
  connection as shared,
} from "./connection";

/**
 * Subscribes while the component stands. A fresh ticket for the same topics changes nothing that
 * is seen. Gives a function that tries at once again after a loss.
 */
export function useSubscription<Row>(
  ticket: string,
  listener: LiveListener<Row>,
  connection: LiveConnection = shared,
): () => void {
  const subscription = useRef<Subscription | null>(null);
  const onEvent = useEffectEvent(listener.onEvent);
  const onStatus = useEffectEvent(listener.onStatus);
  const onRefused = useEffectEvent(listener.onRefused);
  const open = useEffectEvent(() =>
    connection.subscribe(ticket, {
      readRow: listener.readRow,
      onEvent: (event: Parameters<typeof onEvent>[0]) => onEvent(event),
      onStatus: (status) => onStatus(status),
      onRefused: () => onRefused(),
    }),
  );
  useEffect(() => {
    const opened = open();
    subscription.current = opened;
    return () => opened.close();
  }, []);
  useEffect(() => subscription.current?.update(ticket), [ticket]);
  return () => subscription.current?.retryNow();
}
