import type { LaneId, Span } from "./types";

/** Spans by id, each lane's in rows so that none covers another. */
export class Lanes {
  readonly #spans: Span[] = [];
  readonly #index = new Map<string, number>();
  /** The end of the last span in each row of a lane. */
  readonly #ends = new Map<LaneId, number[]>();

  open(span: Omit<Span, "row">): void {
    if (this.#index.has(span.id)) return;
    const ends = this.#ends.get(span.lane) ?? [];
    this.#ends.set(span.lane, ends);
    const free = ends.findIndex((end) => end <= span.from);
    const row = free < 0 ? ends.length : free;
    ends[row] = span.to ?? Number.POSITIVE_INFINITY;
    this.#index.set(span.id, this.#spans.length);
    this.#spans.push({ ...span, row });
  }

  change(id: string, change: Partial<Omit<Span, "id" | "lane" | "row">>): void {
    const index = this.#index.get(id);
    const span = index === undefined ? undefined : this.#spans[index];
    if (index === undefined || span === undefined) return;
    const next = { ...span, ...change };
    this.#spans[index] = next;
    const ends = this.#ends.get(span.lane);
    if (ends !== undefined && next.to !== null) ends[span.row] = next.to;
  }

  /** What goes on ends now: whoever would have told of its end is gone. */
  endAll(at: number, lanes: readonly LaneId[]): void {
    for (const span of this.#spans) {
      if (span.to === null && lanes.includes(span.lane)) this.change(span.id, { to: at });
    }
  }

  list(): readonly Span[] {
    return [...this.#spans];
  }
}
