import { Connection, type LiveListener } from "./connection";
import { type OpenStream, openFetchStream } from "./stream";

/** A connection nobody uses stays open this long: a page that is redrawn finds it again. */
export const LINGER_MS = 2_000;

export interface Subscription {
  /** The page minted a fresh URL. */
  update(url: string): void;
  retryNow(): void;
  close(): void;
}

/** Shares one connection among all who ask for the same topics in this tab. */
export class LiveHub {
  readonly #connections = new Map<string, Connection>();
  readonly #open: OpenStream;

  constructor(open: OpenStream = openFetchStream) {
    this.#open = open;
  }

  subscribe(url: string, listener: LiveListener): Subscription {
    let key = topicKey(url);
    let connection = this.#get(key, url);
    let detach = connection.attach(listener);
    const leave = (): void => {
      detach();
      this.#release(key);
    };
    return {
      update: (next) => {
        if (topicKey(next) === key) {
          connection.setUrl(next);
          return;
        }
        leave();
        key = topicKey(next);
        connection = this.#get(key, next);
        detach = connection.attach(listener);
      },
      retryNow: () => connection.retryNow(),
      close: leave,
    };
  }

  #get(key: string, url: string): Connection {
    const known = this.#connections.get(key);
    if (known) {
      known.setUrl(url);
      return known;
    }
    const made = new Connection(url, this.#open);
    this.#connections.set(key, made);
    return made;
  }

  #release(key: string): void {
    setTimeout(() => {
      const connection = this.#connections.get(key);
      if (!connection || connection.size > 0) return;
      this.#connections.delete(key);
      connection.close();
    }, LINGER_MS);
  }
}

/** What all components of this tab share. */
export const hub = new LiveHub();

const PASSING = new Set(["iat", "nbf", "exp", "jti"]);

/**
 * What a live URL asks for, without what changes from ticket to ticket. Reads the ticket's
 * claims, which the server alone checks; a ticket that cannot be read counts as its own key.
 */
export function topicKey(url: string): string {
  const target = new URL(url, document.baseURI);
  const claims = readClaims(target.searchParams.get("ticket") ?? "");
  if (!claims) return target.href;
  const lasting = Object.entries(claims).filter(([name]) => !PASSING.has(name));
  return `${target.pathname} ${JSON.stringify(lasting.sort())}`;
}

function readClaims(ticket: string): Record<string, unknown> | null {
  const part = ticket.split(".")[1];
  if (!part) return null;
  try {
    const claims: unknown = JSON.parse(atob(part.replace(/-/g, "+").replace(/_/g, "/")));
    return typeof claims === "object" && claims !== null ? { ...claims } : null;
  } catch {
    return null;
  }
}
