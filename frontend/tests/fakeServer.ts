import { isObject, parseJson, text } from "../src/lib/json";
import type { OpenSocket, SocketHandlers } from "../src/lib/live/socket";

/** A subscription as the tab asked for it. */
export interface Asked {
  readonly id: string;
  readonly ticket: string;
  readonly lastEventId: string;
  readonly rows: boolean;
}

/** One socket, in the hands of the test. */
export class Attempt {
  closed = false;
  pongs = 0;
  /** Whether tickets count. */
  good = true;
  /** All that were ever asked for over this socket. */
  readonly asked: Asked[] = [];
  /** Those that were not taken back. */
  readonly subscribed = new Map<string, Asked>();
  readonly #handlers: SocketHandlers;
  #isOpen = false;

  constructor(handlers: SocketHandlers) {
    this.#handlers = handlers;
  }

  /** What was asked for last. */
  get newest(): Asked {
    const newest = this.asked.at(-1);
    if (!newest) throw new Error("nothing was subscribed");
    return newest;
  }

  /** The socket opens; subscriptions are answered from now on. */
  accept(): void {
    this.#isOpen = true;
    this.#handlers.onOpen();
  }

  /** The socket opens, and no ticket is good; or those that were good are no longer. */
  refuse(): void {
    this.good = false;
    if (!this.#isOpen) this.accept();
    for (const id of [...this.subscribed.keys()]) this.#refuse(id);
    this.good = true;
  }

  /** To all who are subscribed, or to the one of that id. */
  send(kind: "snapshot" | "change", data: object, eventId = "e-0", id?: string): void {
    for (const one of id ? [id] : this.subscribed.keys())
      this.frame({ type: kind, id: one, event_id: eventId, data });
  }

  ping(): void {
    this.frame({ type: "ping" });
  }

  frame(frame: unknown): void {
    this.#handlers.onFrame(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  end(): void {
    this.closed = true;
    this.#handlers.onEnd();
  }

  /** What the tab sent. */
  take(frame: string): void {
    if (!this.#isOpen || this.closed) throw new Error("a frame on a socket that is not open");
    const body = parseJson(frame);
    if (!isObject(body)) throw new Error(`no frame: ${frame}`);
    const id = text(body.id);
    if (body.type === "pong") this.pongs += 1;
    else if (body.type === "unsubscribe") this.subscribed.delete(id);
    else {
      if (this.asked.some((one) => one.id === id)) throw new Error(`${id} was used before`);
      const asked = {
        id,
        ticket: text(body.ticket),
        lastEventId: text(body.last_event_id),
        rows: body.rows === true,
      };
      this.asked.push(asked);
      this.subscribed.set(id, asked);
      if (this.good) this.frame({ type: "subscribed", id });
      else this.#refuse(id);
    }
  }

  #refuse(id: string): void {
    this.subscribed.delete(id);
    this.frame({ type: "refused", id, code: "bad_signature", message: "It is out of date." });
  }
}

/** A server for the live connection, without a network. */
export class FakeServer {
  readonly attempts: Attempt[] = [];

  readonly open: OpenSocket = (handlers) => {
    const attempt = new Attempt(handlers);
    this.attempts.push(attempt);
    return {
      send: (frame) => attempt.take(frame),
      close: () => {
        attempt.closed = true;
      },
    };
  };

  get last(): Attempt {
    const last = this.attempts.at(-1);
    if (!last) throw new Error("nobody has connected");
    return last;
  }

  /** Sockets that are open now. */
  get open_(): number {
    return this.attempts.filter((attempt) => !attempt.closed).length;
  }
}

/** A ticket as the server signs it. */
export function ticketFor(topics: string[], exp = 1): string {
  const claims = JSON.stringify({ aud: "switchboard-live", topics, exp });
  const part = btoa(claims).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  return `head.${part}.mark`;
}

/** Turns the tab to the back or to the front, as browsers tell it. */
export function setVisibility(state: "hidden" | "visible"): void {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
