import { type LiveEvent, parseEvent, type RoomRow, type Source } from "./protocol";
import type { EndReason, OpenStream } from "./stream";

/** A stream is taken for dead after this long without a byte; the server pings each 15 s. */
export const SILENCE_MS = 40_000;
/** A hidden tab gives its connection back: a browser opens only six to one HTTP/1.1 host. */
export const HIDDEN_MS = 5_000;
/** A stream that lived this long was a good one: the next loss starts with short pauses. */
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

export interface LiveListener {
  onEvent(event: LiveEvent): void;
  /** The same as it came, for those who read other rows than rooms. */
  onRaw?(kind: string, data: string): void;
  onStatus(status: LiveStatus): void;
  /** The ticket is out of date: get a fresh URL. Comes less and less often if none helps. */
  onRefused(): void;
}

/** A topic as far as it is known, for those who come later. */
interface Topic {
  readonly rows: Map<string, RoomRow>;
  source: Source | null;
}

/**
 * One live stream that keeps itself open: retry with growing pauses, a watchdog, sleep while
 * the tab is hidden. It also keeps the rows, so that a late listener starts with a snapshot.
 */
export class Connection {
  status: LiveStatus = { kind: "connecting" };
  readonly #listeners = new Set<LiveListener>();
  readonly #topics = new Map<string, Topic>();
  readonly #open: OpenStream;
  #url: string;
  #lastEventId = "";
  #lastSign: number | null = null;
  #close: (() => void) | null = null;
  #failures = 0;
  #refusals = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #settled: ReturnType<typeof setTimeout> | undefined;
  #hidden: ReturnType<typeof setTimeout> | undefined;
  #refusal: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, open: OpenStream) {
    this.#url = url;
    this.#open = open;
    document.addEventListener("visibilitychange", this.#onVisibility);
    window.addEventListener("online", this.retryNow);
    if (document.visibilityState === "hidden") this.status = { kind: "asleep" };
    else this.#connect();
  }

  get size(): number {
    return this.#listeners.size;
  }

  /** Status and rows so far come at once, then everything new. */
  attach(listener: LiveListener): () => void {
    this.#listeners.add(listener);
    listener.onStatus(this.status);
    for (const [topic, { rows, source }] of this.#topics) {
      listener.onEvent({ kind: "snapshot", topic, rows: [...rows.values()], source, at: null });
    }
    return () => this.#listeners.delete(listener);
  }

  /** A fresh ticket for the same topics: for the next attempt, which is now if one was refused. */
  setUrl(url: string): void {
    if (url === this.#url) return;
    this.#url = url;
    if (this.status.kind === "refused") this.retryNow();
  }

  /** Tries at once instead of after the pause. Does nothing while the stream is open. */
  readonly retryNow = (): void => {
    if (this.#close || this.status.kind === "asleep") return;
    clearTimeout(this.#retry);
    this.#connect();
  };

  close(): void {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    window.removeEventListener("online", this.retryNow);
    clearTimeout(this.#hidden);
    this.#stop();
  }

  #connect(): void {
    clearTimeout(this.#refusal);
    if (this.status.kind === "asleep") this.#set({ kind: "connecting" });
    this.#watch();
    this.#close = this.#open(this.#url, this.#lastEventId, {
      onOpen: () => {
        this.#refusals = 0;
        this.#settled = setTimeout(() => {
          this.#failures = 0;
        }, SETTLED_MS);
        this.#sign();
        this.#set({ kind: "live" });
      },
      onSign: () => this.#sign(),
      onEvent: ({ kind, data, id }) => {
        this.#lastEventId = id;
        for (const listener of this.#listeners) listener.onRaw?.(kind, data);
        const event = parseEvent(kind, data);
        if (event) this.#take(event);
      },
      onEnd: (reason) => this.#ended(reason),
    });
  }

  #take(event: LiveEvent): void {
    if (event.kind === "snapshot") {
      const rows = new Map(event.rows.map((row) => [row.name, row]));
      this.#topics.set(event.topic, { rows, source: event.source });
    } else {
      const topic = this.#topics.get(event.topic);
      for (const row of event.upsert) topic?.rows.set(row.name, row);
      for (const name of event.remove) topic?.rows.delete(name);
      if (topic && event.source) topic.source = event.source;
    }
    for (const listener of this.#listeners) listener.onEvent(event);
  }

  #ended(reason: EndReason): void {
    this.#stop();
    const since = this.#lastSign;
    if (reason === "refused") {
      this.#set({ kind: "refused", since });
      this.#askForUrl();
      return;
    }
    this.#set({ kind: "retrying", since });
    const pause = doubling(RETRY_MS, this.#failures) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#connect(), pause);
  }

  /** Again and again: Streamlit 1.67 loses what is asked while its own connection is down. */
  #askForUrl(): void {
    const pause = this.#refusals === 0 ? 0 : doubling(REFUSAL_MS, this.#refusals - 1);
    this.#refusal = setTimeout(() => {
      this.#refusals += 1;
      this.#askForUrl();
      for (const listener of this.#listeners) listener.onRefused();
    }, pause);
  }

  #sign(): void {
    this.#lastSign = Date.now();
    this.#watch();
  }

  #watch(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#ended("lost"), SILENCE_MS);
  }

  #stop(): void {
    this.#close?.();
    this.#close = null;
    for (const timer of [this.#retry, this.#silence, this.#settled, this.#refusal]) {
      clearTimeout(timer);
    }
  }

  #set(status: LiveStatus): void {
    if (JSON.stringify(status) === JSON.stringify(this.status)) return;
    this.status = status;
    for (const listener of this.#listeners) listener.onStatus(status);
  }

  readonly #onVisibility = (): void => {
    clearTimeout(this.#hidden);
    if (document.visibilityState === "hidden") {
      this.#hidden = setTimeout(() => {
        this.#stop();
        this.#set({ kind: "asleep" });
      }, HIDDEN_MS);
    } else if (this.status.kind === "asleep") {
      this.#connect();
    } else {
      this.retryNow();
    }
  };
}

function doubling(pause: { first: number; most: number }, times: number): number {
  return Math.min(pause.most, pause.first * 2 ** times);
}
