import type { LiveStatus } from "../../live/connection";
import { type LiveHub, type Subscription, hub as sharedHub } from "../../live/hub";
import { Fold } from "../model/fold";
import { isObject, moment, number, traceEvent } from "../model/json";
import type { SessionModel, TraceEvent } from "../model/types";
import { SavedValues } from "./values";

export interface Addresses {
  /** The live stream's address, with its ticket. */
  readonly live: string;
  /** `…/api/voice/session/<id>/`, without a ticket. */
  readonly session: string;
}

export interface SourceView {
  readonly model: SessionModel;
  readonly loading: boolean;
  /** Why the history could not be read; "" while it could. */
  readonly error: string;
  readonly status: LiveStatus;
  /** The server's clock minus ours, in milliseconds. */
  readonly skew: number;
}

const RETRY_MS = 3_000;

/**
 * A session as it was and as it goes on: the history page by page, and the live topic, which is
 * listened to first, so that nothing falls between. What comes twice is one by its id.
 */
export class SessionSource {
  readonly values: SavedValues;
  readonly #fold = new Fold();
  readonly #listeners = new Set<() => void>();
  #addresses: Addresses;
  #subscription: Subscription | null = null;
  #view: SourceView;
  #after = 0;
  #reading = false;
  #again = false;
  #frame = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(addresses: Addresses) {
    this.#addresses = addresses;
    this.values = new SavedValues((id) => this.#address(`saved/${encodeURIComponent(id)}`));
    this.#view = {
      model: this.#fold.model(),
      loading: true,
      error: "",
      status: { kind: "connecting" },
      skew: 0,
    };
  }

  start(onRefused: () => void, hub: LiveHub = sharedHub): void {
    this.#closed = false;
    this.#subscription = hub.subscribe(this.#addresses.live, {
      onEvent: () => undefined,
      onRaw: (kind, data) => this.#heard(kind, data),
      onStatus: (status) => {
        const back = status.kind === "live" && this.#view.status.kind !== "live";
        this.#set({ status });
        if (back) void this.read();
      },
      onRefused,
    });
    void this.read();
  }

  close(): void {
    this.#closed = true;
    this.#subscription?.close();
    this.#subscription = null;
    clearTimeout(this.#retry);
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  /** A fresh ticket for the same session. */
  use(addresses: Addresses): void {
    this.#addresses = addresses;
    this.#subscription?.update(addresses.live);
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  look = (): SourceView => this.#view;

  /** Read on from where the history was left. */
  async read(): Promise<void> {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    clearTimeout(this.#retry);
    try {
      do {
        this.#again = false;
        while (await this.#page());
      } while (this.#again);
      this.#set({ loading: false, error: "", model: this.#fold.model() });
    } catch (error) {
      const said = error instanceof Error ? error.message : "The history could not be read.";
      this.#set({ loading: false, error: said, model: this.#fold.model() });
      if (!this.#closed) this.#retry = setTimeout(() => void this.read(), RETRY_MS);
    } finally {
      this.#reading = false;
    }
  }

  /** True: there is more. */
  async #page(): Promise<boolean> {
    const answer = await fetch(this.#address(`trace?after=${this.#after}`)).catch(() => null);
    if (this.#closed) return false;
    if (answer === null) throw new Error("The dashboard does not answer.");
    if (!answer.ok) throw new Error(`The history could not be read (${answer.status}).`);
    const body: unknown = await answer.json();
    if (!isObject(body)) throw new Error("The history could not be read.");
    const rows = Array.isArray(body.events) ? body.events : [];
    this.#fold.open = isObject(body.session) && body.session.open === true;
    this.#after = number(body.last) ?? this.#after;
    const now = moment(body.at);
    if (now !== null) this.#set({ skew: now - Date.now() });
    this.#take(rows);
    return body.more === true;
  }

  #heard(kind: string, data: string): void {
    let body: unknown;
    try {
      body = JSON.parse(data);
    } catch {
      return;
    }
    if (!isObject(body) || (kind !== "snapshot" && kind !== "change")) return;
    // The page's one connection may carry other topics, too.
    if (typeof body.topic !== "string" || !body.topic.startsWith("session:")) return;
    const rows = kind === "snapshot" ? body.rows : body.upsert;
    if (Array.isArray(rows)) this.#take(rows);
    // A topic that goes away tells of a change without rows: the session is over.
    else if (kind === "change") void this.read();
  }

  #take(rows: readonly unknown[]): void {
    const events: TraceEvent[] = [];
    let changed = false;
    for (const row of rows) {
      const event = traceEvent(row);
      if (event === null) continue;
      if (isObject(row) && row.live === true) changed = this.#fold.live(event) || changed;
      else events.push(event);
      if (event.kind === "state_saved" && event.data.values !== undefined)
        this.values.put(event.id, event.data.values);
      if (event.kind === "room_finished") this.#fold.open = false;
    }
    changed = this.#fold.add(events) || changed;
    // While the history comes in, each of its pages would be drawn for nothing.
    if (changed && !this.#view.loading) this.#draw();
  }

  /** At most one model for each frame that is drawn. */
  #draw(): void {
    if (this.#frame !== 0) return;
    const draw = (): void => {
      this.#frame = 0;
      this.#set({ model: this.#fold.model() });
    };
    if (document.visibilityState === "hidden") draw();
    else this.#frame = requestAnimationFrame(draw);
  }

  #set(change: Partial<SourceView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }

  #address(path: string): string {
    const live = new URL(this.#addresses.live, document.baseURI);
    const target = new URL(path, new URL(this.#addresses.session, document.baseURI));
    target.searchParams.set("ticket", live.searchParams.get("ticket") ?? "");
    return target.href;
  }
}
