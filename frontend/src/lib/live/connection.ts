import { isObject, parseJson, text } from "../json";
import { type LiveEvent, type ReadRow, readEvent } from "./events";
import { type OpenedSocket, type OpenSocket, openWebSocket } from "./socket";

/** A connection is taken for dead after this long without a frame; the server pings each 15 s. */
export const SILENCE_MS = 40_000;
/** A tab that is hidden this long gives its connection back. */
export const HIDDEN_MS = 5_000;
/** A connection nobody uses stays open this long: the next page of the tab finds it again. */
export const LINGER_MS = 2_000;
/** A connection that lived this long was a good one: the next loss starts with short pauses. */
const SETTLED_MS = 5_000;
const RETRY_MS = { first: 500, most: 15_000 } as const;
const REFUSAL_MS = { first: 2_000, most: 60_000 } as const;

export type LiveStatus =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Lost and tried again; `since` = the last sign of life, null if there never was one. */
  | { readonly kind: "retrying"; readonly since: number | null }
  | { readonly kind: "refused"; readonly since: number | null }
  | { readonly kind: "asleep" };

export interface LiveListener<Row> {
  /** Reads a row where it enters. Null: only whether something changed is wanted, and no rows. */
  readonly readRow: ReadRow<Row> | null;
  onEvent(event: LiveEvent<Row>): void;
  onStatus(status: LiveStatus): void;
  /** The ticket does not count: get a fresh one. Comes less and less often if none helps. */
  onRefused(): void;
}

export interface Subscription {
  /** The page minted a fresh ticket. */
  update(ticket: string): void;
  retryNow(): void;
  close(): void;
}

/**
 * The live connection of a tab: one socket that all its components share, each with its own
 * subscription. It keeps itself open: retry with growing pauses, a watchdog, sleep while the tab
 * is hidden; and each subscription goes on after the last event that it was told.
 */
export class LiveConnection {
  readonly #open: OpenSocket;
  readonly #entries = new Set<Entry>();
  #socket: OpenedSocket | null = null;
  #isOpen = false;
  #asleep = document.visibilityState === "hidden";
  #lastSign: number | null = null;
  #failures = 0;
  #lastId = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #settled: ReturnType<typeof setTimeout> | undefined;
  #hidden: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(open: OpenSocket = openWebSocket) {
    this.#open = open;
    document.addEventListener("visibilitychange", this.#onVisibility);
    window.addEventListener("online", this.#onOnline);
  }

  /** The status comes at once, then everything new. */
  subscribe<Row>(ticket: string, listener: LiveListener<Row>): Subscription {
    const entry = new Entry(ticket, receiver(listener));
    this.#entries.add(entry);
    clearTimeout(this.#linger);
    this.#start(entry);
    return {
      update: (next) => this.#update(entry, next),
      retryNow: () => this.#retryNow(),
      close: () => {
        this.#stop(entry);
        if (!this.#entries.delete(entry) || this.#entries.size > 0) return;
        this.#linger = setTimeout(() => this.#disconnect(), LINGER_MS);
      },
    };
  }

  /** For good; for tests. */
  close(): void {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    window.removeEventListener("online", this.#onOnline);
    clearTimeout(this.#hidden);
    clearTimeout(this.#linger);
    for (const entry of this.#entries) entry.stopAsking();
    this.#entries.clear();
    this.#disconnect();
  }

  #update(entry: Entry, ticket: string): void {
    if (ticket === entry.ticket || !this.#entries.has(entry)) return;
    const moved = topicKey(ticket) !== topicKey(entry.ticket);
    entry.ticket = ticket;
    if (moved) {
      this.#stop(entry);
      entry.lastEventId = "";
    } else if (entry.status.kind !== "refused") return;
    entry.stopAsking();
    this.#start(entry);
  }

  /** Subscribes, as soon as there is a connection to do it over. */
  #start(entry: Entry): void {
    if (this.#asleep) entry.set({ kind: "asleep" });
    else if (this.#retry !== undefined) entry.lost("retrying", this.#lastSign);
    else entry.set({ kind: "connecting" });
    if (this.#isOpen) this.#send(entry);
    else if (!this.#asleep && !this.#socket && this.#retry === undefined) this.#connect();
  }

  #send(entry: Entry): void {
    this.#lastId += 1;
    entry.id = String(this.#lastId);
    this.#say({
      type: "subscribe",
      id: entry.id,
      ticket: entry.ticket,
      last_event_id: entry.lastEventId,
      rows: entry.receiver.wantsRows,
    });
  }

  /** Nothing more comes of it. */
  #stop(entry: Entry): void {
    entry.stopAsking();
    if (this.#isOpen && entry.id !== "") this.#say({ type: "unsubscribe", id: entry.id });
    entry.id = "";
  }

  #say(frame: object): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#watch();
    this.#socket = this.#open({
      onOpen: () => {
        this.#isOpen = true;
        this.#settled = setTimeout(() => {
          this.#failures = 0;
        }, SETTLED_MS);
        this.#sign();
        for (const entry of this.#entries) if (entry.status.kind !== "refused") this.#send(entry);
      },
      onFrame: (frame) => {
        this.#sign();
        this.#take(parseJson(frame));
      },
      onEnd: () => this.#lost(),
    });
  }

  #take(frame: unknown): void {
    if (!isObject(frame)) return;
    if (frame.type === "ping") {
      this.#say({ type: "pong" });
      return;
    }
    const id = text(frame.id);
    const entry = [...this.#entries].find((one) => one.id === id);
    if (!entry || id === "") return; // it was unsubscribed meanwhile
    switch (frame.type) {
      case "subscribed":
        entry.refusals = 0;
        entry.set({ kind: "live" });
        break;
      case "snapshot":
      case "change":
        entry.lastEventId = text(frame.event_id);
        entry.receiver.take(frame.type, frame.data);
        break;
      case "refused":
        entry.id = "";
        entry.lost("refused", this.#lastSign);
        entry.ask();
        break;
    }
  }

  #lost(): void {
    this.#disconnect();
    if (this.#entries.size === 0) return;
    for (const entry of this.#entries)
      if (entry.status.kind !== "refused") entry.lost("retrying", this.#lastSign);
    const pause = doubling(RETRY_MS, this.#failures) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#connect(), pause);
  }

  #disconnect(): void {
    this.#socket?.close();
    this.#socket = null;
    this.#isOpen = false;
    for (const entry of this.#entries) entry.id = "";
    for (const timer of [this.#retry, this.#silence, this.#settled]) clearTimeout(timer);
    this.#retry = undefined;
  }

  /** Tries at once instead of after the pause. */
  #retryNow(): void {
    if (this.#retry !== undefined) this.#connect();
  }

  #sign(): void {
    this.#lastSign = Date.now();
    this.#watch();
  }

  #watch(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  readonly #onOnline = (): void => this.#retryNow();

  readonly #onVisibility = (): void => {
    clearTimeout(this.#hidden);
    if (document.visibilityState === "hidden") {
      this.#hidden = setTimeout(() => this.#sleep(), HIDDEN_MS);
    } else if (this.#asleep) {
      this.#asleep = false;
      for (const entry of this.#entries) entry.set({ kind: "connecting" });
      if (this.#entries.size > 0) this.#connect();
    } else {
      this.#retryNow();
    }
  };

  #sleep(): void {
    this.#asleep = true;
    this.#disconnect();
    for (const entry of this.#entries) {
      entry.stopAsking();
      entry.lost("asleep", this.#lastSign);
    }
  }
}

/** What all components of this tab share. */
export const connection = new LiveConnection();

/** A listener as the connection needs it, whatever its rows are. */
interface Receiver {
  readonly wantsRows: boolean;
  take(kind: "snapshot" | "change", body: unknown): void;
  onStatus(status: LiveStatus): void;
  onRefused(): void;
}

function receiver<Row>(listener: LiveListener<Row>): Receiver {
  const { readRow } = listener;
  return {
    wantsRows: readRow !== null,
    take: (kind, body) => {
      const event = readEvent(kind, body, readRow ?? (() => null));
      if (event) listener.onEvent(event);
    },
    onStatus: (status) => listener.onStatus(status),
    onRefused: () => listener.onRefused(),
  };
}

/** One subscription. */
class Entry {
  ticket: string;
  /** Its name on the open socket; "" while it has none there. */
  id = "";
  lastEventId = "";
  refusals = 0;
  status: LiveStatus = { kind: "connecting" };
  readonly receiver: Receiver;
  #since: number | null = null;
  #told = "";
  #asking: ReturnType<typeof setTimeout> | undefined;

  constructor(ticket: string, to: Receiver) {
    this.ticket = ticket;
    this.receiver = to;
  }

  set(status: LiveStatus): void {
    this.status = status;
    const told = JSON.stringify(status);
    if (told === this.#told) return;
    this.#told = told;
    this.receiver.onStatus(status);
  }

  /** `heard`: the last sign of life. It counts where this subscription was live until now. */
  lost(kind: "retrying" | "refused" | "asleep", heard: number | null): void {
    if (this.status.kind === "live") this.#since = heard;
    this.set(kind === "asleep" ? { kind } : { kind, since: this.#since });
  }

  /** Again and again: Streamlit 1.67 loses what is asked while its own connection is down. */
  ask(): void {
    const pause = this.refusals === 0 ? 0 : doubling(REFUSAL_MS, this.refusals - 1);
    this.#asking = setTimeout(() => {
      this.refusals += 1;
      this.ask();
      this.receiver.onRefused();
    }, pause);
  }

  stopAsking(): void {
    clearTimeout(this.#asking);
  }
}

function doubling(pause: { first: number; most: number }, times: number): number {
  return Math.min(pause.most, pause.first * 2 ** times);
}

/**
 * The topics that a ticket is for, which a fresh one for the same has as well. Reads the ticket's
 * claims, which the server alone checks; a ticket that cannot be read counts as its own key.
 */
export function topicKey(ticket: string): string {
  const part = ticket.split(".")[1] ?? "";
  const claims = parseJson(decoded(part));
  return isObject(claims) && claims.topics !== undefined ? JSON.stringify(claims.topics) : ticket;
}

function decoded(part: string): string {
  try {
    return atob(part.replace(/-/g, "+").replace(/_/g, "/"));
  } catch {
    return ""; // it is no ticket of ours
  }
}
