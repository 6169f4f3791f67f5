/** A reader of `text/event-stream` as the HTML standard describes it, fed in pieces. */

export interface SseEvent {
  readonly kind: string;
  readonly data: string;
  /** The last id seen so far; "" until there was one. */
  readonly id: string;
}

export class SseParser {
  #rest = "";
  #kind = "";
  #data: string[] = [];
  #id = "";

  constructor(lastEventId = "") {
    this.#id = lastEventId;
  }

  /** The events that `chunk` completes. A half-sent one waits for the next piece. */
  push(chunk: string): SseEvent[] {
    const events: SseEvent[] = [];
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line: string): SseEvent | null {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#kind = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  #dispatch(): SseEvent | null {
    const event = { kind: this.#kind || "message", data: this.#data.join("\n"), id: this.#id };
    const empty = this.#data.length === 0;
    this.#kind = "";
    this.#data = [];
    return empty ? null : event;
  }
}
