import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  Connection,
  HIDDEN_MS,
  type LiveListener,
  type LiveStatus,
  SILENCE_MS,
} from "../../src/live/connection";
import type { LiveEvent } from "../../src/live/protocol";
import { FakeServer, setVisibility } from "../fakeStream";
import { wireRoom } from "../rows";

class Listener implements LiveListener {
  readonly events: LiveEvent[] = [];
  readonly statuses: LiveStatus["kind"][] = [];
  refusals = 0;
  onEvent = (event: LiveEvent) => this.events.push(event);
  onStatus = (status: LiveStatus) => this.statuses.push(status.kind);
  onRefused = () => {
    this.refusals += 1;
  };
}

let server: FakeServer;
let connection: Connection;
let listener: Listener;

beforeEach(() => {
  vi.useFakeTimers();
  setVisibility("visible");
  server = new FakeServer();
  connection = new Connection("api/live?ticket=1", server.open);
  listener = new Listener();
  connection.attach(listener);
});

afterEach(() => {
  connection.close();
  vi.useRealTimers();
});

const SNAPSHOT = { topic: "rooms", rows: [wireRoom("a"), wireRoom("b")] };

describe("a live connection", () => {
  it("opens one stream and hands on what comes", () => {
    server.last.accept();
    server.last.send("snapshot", SNAPSHOT, "e-1");
    server.last.send("change", { topic: "rooms", upsert: [wireRoom("c")], remove: ["a"] }, "e-2");
    expect(server.attempts).toHaveLength(1);
    expect(listener.statuses).toEqual(["connecting", "live"]);
    expect(listener.events.map((event) => event.kind)).toEqual(["snapshot", "change"]);
  });

  it("gives a late listener the rows as they are by now", () => {
    server.last.accept();
    server.last.send("snapshot", { ...SNAPSHOT, error: "away", error_hint: "", checked_at: null });
    server.last.send("change", { topic: "rooms", upsert: [wireRoom("c")], remove: ["a"] });
    server.last.send("change", { topic: "rooms", upsert: [], remove: [], error: null });
    const late = new Listener();
    connection.attach(late);
    expect(late.statuses).toEqual(["live"]);
    const [event] = late.events;
    expect(event?.kind === "snapshot" && event.rows.map((row) => row.name)).toEqual(["b", "c"]);
    expect(event?.source?.error).toBe("");
  });

  it("says nothing more to a listener that has left", () => {
    const late = new Listener();
    connection.attach(late)();
    server.last.accept();
    expect(late.statuses).toEqual(["connecting"]);
  });

  it("tries again with growing pauses, from where it was", () => {
    server.last.accept();
    server.last.send("snapshot", SNAPSHOT, "e-5");
    server.last.end("lost");
    expect(connection.status.kind).toBe("retrying");
    const pauses: number[] = [];
    for (let time = 0; time < 6; time += 1) {
      const attempts = server.attempts.length;
      let waited = 0;
      while (server.attempts.length === attempts) {
        vi.advanceTimersByTime(25);
        waited += 25;
      }
      pauses.push(waited);
      server.last.end("lost");
    }
    expect(server.last.lastEventId).toBe("e-5");
    expect(pauses[0]).toBeLessThanOrEqual(650);
    for (const [index, pause] of pauses.slice(1).entries()) {
      expect(pause).toBeGreaterThan((pauses[index] ?? 0) * 1.1);
    }
    vi.advanceTimersByTime(60_000);
    expect(server.attempts.length).toBe(8);
  });

  it("begins with short pauses again after a stream that lasted", () => {
    for (let time = 0; time < 5; time += 1) {
      server.last.end("lost");
      vi.advanceTimersByTime(20_000);
    }
    server.last.accept();
    vi.advanceTimersByTime(6_000);
    server.last.end("lost");
    const attempts = server.attempts.length;
    vi.advanceTimersByTime(650);
    expect(server.attempts.length).toBe(attempts + 1);
  });

  it("keeps growing pauses when the server takes every stream and drops it at once", () => {
    for (let time = 0; time < 40; time += 1) {
      server.last.accept();
      server.last.end("lost");
      vi.advanceTimersByTime(1_000);
    }
    expect(server.attempts.length).toBeLessThan(12);
  });

  it("tells since when the rows are old", () => {
    server.last.accept();
    vi.advanceTimersByTime(3_000);
    server.last.ping();
    const heard = Date.now();
    vi.advanceTimersByTime(2_000);
    server.last.end("lost");
    expect(connection.status).toEqual({ kind: "retrying", since: heard });
  });

  it("takes a silent stream for dead, and a ping for life", () => {
    server.last.accept();
    vi.advanceTimersByTime(SILENCE_MS - 1);
    server.last.ping();
    vi.advanceTimersByTime(SILENCE_MS - 1);
    expect(server.attempts).toHaveLength(1);
    vi.advanceTimersByTime(1_000);
    expect(server.attempts).toHaveLength(2);
    expect(server.attempts[0]?.closed).toBe(true);
  });

  it("takes a server that never answers for dead", () => {
    vi.advanceTimersByTime(SILENCE_MS + 1_000);
    expect(server.attempts).toHaveLength(2);
  });

  it("asks for a fresh ticket at once, and connects with it", () => {
    server.last.end("refused");
    vi.advanceTimersByTime(0);
    expect(listener.refusals).toBe(1);
    vi.advanceTimersByTime(120_000);
    expect(server.attempts).toHaveLength(1);
    connection.setUrl("api/live?ticket=2");
    expect(server.last.url).toBe("api/live?ticket=2");
    server.last.accept();
    expect(listener.statuses).toEqual(["connecting", "refused", "live"]);
  });

  it("asks less and less often when no ticket is good", () => {
    for (let ticket = 2; ticket < 100; ticket += 1) {
      server.last.end("refused");
      vi.advanceTimersByTime(1_000);
      connection.setUrl(`api/live?ticket=${ticket}`);
    }
    expect(listener.refusals).toBe(1);
    server.last.end("refused");
    vi.advanceTimersByTime(2_000);
    expect(listener.refusals).toBe(2);
  });

  it("asks again for a ticket when nobody gives one, and stops once it has one", () => {
    server.last.end("refused");
    vi.advanceTimersByTime(2_000);
    expect(listener.refusals).toBe(2);
    vi.advanceTimersByTime(4_000);
    expect(listener.refusals).toBe(3);
    connection.setUrl("api/live?ticket=2");
    server.last.accept();
    vi.advanceTimersByTime(30_000);
    expect(listener.refusals).toBe(3);
  });

  it("keeps a fresh ticket for later while the stream is open", () => {
    server.last.accept();
    connection.setUrl("api/live?ticket=2");
    expect(server.attempts).toHaveLength(1);
    server.last.end("lost");
    vi.advanceTimersByTime(1_000);
    expect(server.last.url).toBe("api/live?ticket=2");
  });

  it("gives its stream back while the tab is hidden, and goes on when it is seen", () => {
    server.last.accept();
    server.last.send("snapshot", SNAPSHOT, "e-3");
    setVisibility("hidden");
    vi.advanceTimersByTime(HIDDEN_MS - 1);
    expect(server.open_).toBe(1);
    vi.advanceTimersByTime(1);
    expect(server.open_).toBe(0);
    vi.advanceTimersByTime(600_000);
    expect(server.open_).toBe(0);
    setVisibility("visible");
    expect(server.open_).toBe(1);
    expect(server.last.lastEventId).toBe("e-3");
    server.last.accept();
    expect(listener.statuses).toEqual(["connecting", "live", "asleep", "connecting", "live"]);
  });

  it("does not mind a short look at another tab", () => {
    server.last.accept();
    setVisibility("hidden");
    vi.advanceTimersByTime(HIDDEN_MS - 1);
    setVisibility("visible");
    vi.advanceTimersByTime(HIDDEN_MS);
    expect(server.attempts).toHaveLength(1);
    expect(server.open_).toBe(1);
  });

  it("opens nothing in a tab that starts in the back", () => {
    setVisibility("hidden");
    const other = new FakeServer();
    const sleeping = new Connection("api/live?ticket=1", other.open);
    expect(other.attempts).toHaveLength(0);
    setVisibility("visible");
    expect(other.attempts).toHaveLength(1);
    sleeping.close();
  });

  it("does not wait for its pause when the tab is seen or the network is back", () => {
    for (const wake of [() => setVisibility("visible"), () => dispatchEvent(new Event("online"))]) {
      const attempts = server.attempts.length;
      server.last.end("lost");
      wake();
      expect(server.attempts.length).toBe(attempts + 1);
    }
  });

  it("leaves nothing behind when closed", () => {
    server.last.accept();
    connection.close();
    setVisibility("visible");
    dispatchEvent(new Event("online"));
    vi.advanceTimersByTime(600_000);
    expect(server.attempts).toHaveLength(1);
    expect(server.open_).toBe(0);
  });
});
