import { isObject, type JsonObject, moment, number, text } from "../../lib/json";
import {
  type LiveConnection,
  type LiveStatus,
  type Subscription,
  connection as shared,
} from "../../lib/live/connection";
import type { LiveEvent } from "../../lib/live/events";
import { Fold } from "../model/fold";
import type { SessionModel, TraceEvent } from "../model/types";
import { SavedValues } from "./values";

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
  readonly #url: string;
  #ticket: string;
  #subscription: Subscription | null = null;
  #view: SourceView;
  #after = 0;
  #reading = false;
  #again = false;
  #frame = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** `url`: `…/api/voice/session/<id>/`; the ticket for its topic opens that, too. */
  constructor(url: string, ticket: string) {
    this.#url = url;
    this.#ticket = ticket;
    this.values = new SavedValues((id) => this.#address(`saved/${encodeURIComponent(id)}`));
    this.#view = {
      model: this.#fold.model(),
      loading: true,
      error: "",
      status: { kind: "connecting" },
      skew: 0,
    };
  }

  start(onRefused: () => void, connection: LiveConnection = shared): void {
    this.#closed = false;
    this.#subscription = connection.subscribe<Told>(this.#ticket, {
      readRow: readTold,
      onEvent: (event) => this.#heard(event),
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
  use(ticket: string): void {
    this.#ticket = ticket;
    this.#subscription?.update(ticket);
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
      const said = error instanceof Error ? error.message : "The history is unavailable.";
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
    if (answer === null) throw new Error("The dashboard is unavailable.");
    if (!answer.ok) throw new Error(`The history is unavailable (${answer.status}).`);
    const body: unknown = await answer.json();
    if (!isObject(body)) throw new Error("The history is unavailable.");
    const rows = Array.isArray(body.events) ? body.events : [];
    this.#fold.open = isObject(body.session) && body.session.open === true;
    this.#after = number(body.last) ?? this.#after;
    const now = moment(body.at);
    if (now !== null) this.#set({ skew: now - Date.now() });
    this.#take(rows.flatMap((row) => (isObject(row) ? (readTold(row) ?? []) : [])));
    return body.more === true;
  }

  #heard({ kind, topic, rows }: LiveEvent<Told>): void {
    // The page's ticket may be for other topics, too.
    if (!topic.startsWith("session:")) return;
    if (rows !== null) this.#take(rows);
    // A topic that goes away tells of a change without rows: the session is over.
    else if (kind === "change") void this.read();
  }

  #take(rows: readonly Told[]): void {
    const events: TraceEvent[] = [];
    let changed = false;
    for (const { event, passing } of rows) {
      if (passing) changed = this.#fold.live(event) || changed;
      else events.push(event);
      if (event.kind === "checkpoint_saved" && event.data.values !== undefined)
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
    const target = new URL(path, new URL(this.#url, document.baseURI));
    target.searchParams.set("ticket", this.#ticket);
    return target.href;
  }
}

/** An event; `passing`: it is shown and not kept. */
interface Told {
  readonly event: TraceEvent;
  readonly passing: boolean;
}

function readTold(row: JsonObject): Told | null {
  const event = traceEvent(row);
  return event === null ? null : { event, passing: row.live === true };
}

/** The event of a row, or null for one that cannot be used. */
export function traceEvent(row: JsonObject): TraceEvent | null {
  const at = moment(row.at);
  const id = text(row.id);
  if (at === null || id === "") return null;
  return {
    id,
    kind: text(row.kind),
    at,
    source: text(row.source),
    identity: text(row.identity),
    actor: text(row.actor),
    data: isObject(row.data) ? row.data : {},
  };
}
