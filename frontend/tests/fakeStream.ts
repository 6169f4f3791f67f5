import type { EndReason, OpenStream, StreamHandlers } from "../src/live/stream";

/** One attempt to open a stream, in the hands of the test. */
export interface Attempt {
  readonly url: string;
  readonly lastEventId: string;
  closed: boolean;
  accept(): void;
  send(kind: string, data: unknown, id?: string): void;
  ping(): void;
  end(reason: EndReason): void;
}

/** A server for the connection manager, without a network. */
export class FakeServer {
  readonly attempts: Attempt[] = [];

  readonly open: OpenStream = (url, lastEventId, handlers) => {
    const attempt = this.#attempt(url, lastEventId, handlers);
    this.attempts.push(attempt);
    return () => {
      attempt.closed = true;
    };
  };

  get last(): Attempt {
    const last = this.attempts.at(-1);
    if (!last) throw new Error("nobody has connected");
    return last;
  }

  /** Attempts that are open now. */
  get open_(): number {
    return this.attempts.filter((attempt) => !attempt.closed).length;
  }

  #attempt(url: string, lastEventId: string, handlers: StreamHandlers): Attempt {
    let id = lastEventId;
    const attempt: Attempt = {
      url,
      lastEventId,
      closed: false,
      accept: () => handlers.onOpen(),
      send: (kind, data, newId) => {
        id = newId ?? id;
        handlers.onSign();
        handlers.onEvent({ kind, data: JSON.stringify(data), id });
      },
      ping: () => handlers.onSign(),
      end: (reason) => {
        attempt.closed = true;
        handlers.onEnd(reason);
      },
    };
    return attempt;
  }
}

/** Turns the tab to the back or to the front, as browsers tell it. */
export function setVisibility(state: "hidden" | "visible"): void {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
