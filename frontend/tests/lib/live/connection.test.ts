import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type JsonObject, text } from "../../../src/lib/json";
import {
  HIDDEN_MS,
  LINGER_MS,
  LiveConnection,
  type LiveListener,
  type LiveStatus,
  SILENCE_MS,
  type Subscription,
  topicKey,
} from "../../../src/lib/live/connection";
import type { LiveEvent } from "../../../src/lib/live/events";
import { FakeServer, setVisibility, ticketFor } from "../../fakeServer";

class Listener implements LiveListener<string> {
  readonly readRow = (row: JsonObject) => text(row.name) || null;
  readonly events: LiveEvent<string>[] = [];
  readonly statuses: LiveStatus[] = [];
  refusals = 0;
  onEvent = (event: LiveEvent<string>) => this.events.push(event);
  onStatus = (status: LiveStatus) => this.statuses.push(status);
  onRefused = () => {
    this.refusals += 1;
  };
  get kinds(): LiveStatus["kind"][] {
    return this.statuses.map((status) => status.kind);
  }
}

const TICKET = ticketFor(["rooms"], 1);
const FRESH = ticketFor(["rooms"], 2);
const SNAPSHOT = { topic: "rooms", rows: [{ name: "a" }, { name: "b" }] };

let server: FakeServer;
let connection: LiveConnection;
let listener: Listener;
let subscription: Subscription;

beforeEach(() => {
  vi.useFakeTimers();
  setVisibility("visible");
  server = new FakeServer();
  connection = new LiveConnection(server.open);
  listener = new Listener();
  subscription = connection.subscribe(TICKET, listener);
});

afterEach(() => {
  connection.close();
  vi.useRealTimers();
});

describe("a subscription", () => {
  it("is told what comes, its own rows read", () => {
    server.last.accept();
    server.last.send("snapshot", SNAPSHOT);
    server.last.send("change", { topic: "rooms", upsert: [{ name: "c" }], remove: ["a"] });
    expect(listener.kinds).toEqual(["connecting", "live"]);
    expect(listener.events.map(({ kind, rows, removed }) => [kind, rows, removed])).toEqual([
      ["snapshot", ["a", "b"], []],
      ["change", ["c"], ["a"]],
    ]);
  });

  it("asks for no rows where nobody reads them", () => {
    server.last.accept();
    expect(server.last.newest.rows).toBe(true);
    let changes = 0;
    connection.subscribe(ticketFor(["system"]), {
      readRow: null,
      onEvent: ({ rows }) => {
        if (rows === null) changes += 1;
      },
      onStatus: () => undefined,
      onRefused: () => undefined,
    });
    expect(server.last.newest.rows).toBe(false);
    server.last.send("change", { topic: "system" }, "e-1", server.last.newest.id);
    expect(changes).toBe(1);
  });

  it("shares the tab's one socket with the others, and none is told what is another's", () => {
    server.last.accept();
    const other = new Listener();
    connection.subscribe(ticketFor(["system"]), other);
    expect(server.attempts).toHaveLength(1);
    expect(other.kinds).toEqual(["connecting", "live"]);
    server.last.send("change", { topic: "system" }, "e-1", server.last.newest.id);
    expect(other.events).toHaveLength(1);
    expect(listener.events).toHaveLength(0);
  });

  it("is taken back by who leaves, and what was under way is passed over", () => {
    server.last.accept();
    const { id } = server.last.newest;
    const other = connection.subscribe(ticketFor(["system"]), new Listener());
    subscription.close();
    expect(server.last.subscribed.has(id)).toBe(false);
    expect(server.last.subscribed.size).toBe(1);
    server.last.frame({ type: "change", id, event_id: "e-9", data: SNAPSHOT });
    expect(listener.events).toHaveLength(0);
    other.close();
    other.close();
    expect(server.last.subscribed.size).toBe(0);
  });

  it("keeps going when a page brings a fresh ticket, and moves for other topics", () => {
    server.last.accept();
    server.last.send("snapshot", SNAPSHOT, "e-3");
    subscription.update(FRESH);
    expect(server.last.asked).toHaveLength(1);
    subscription.update(ticketFor(["system"], 3));
    expect(server.last.asked).toHaveLength(2);
    expect(server.last.subscribed.size).toBe(1);
    expect(server.last.newest.lastEventId).toBe("");
    expect(listener.kinds).toEqual(["connecting", "live", "connecting", "live"]);
  });
});

describe("the tab's connection", () => {
  it("closes some time after the last has left, and not for a page that is drawn again", () => {
    server.last.accept();
    subscription.close();
    vi.advanceTimersByTime(LINGER_MS - 1);
    const again = connection.subscribe(FRESH, new Listener());
    vi.advanceTimersByTime(LINGER_MS + 1);
    expect(server.attempts).toHaveLength(1);
    expect(server.open_).toBe(1);
    again.close();
    vi.advanceTimersByTime(LINGER_MS);
    expect(server.open_).toBe(0);
  });

  it("tries again with growing pauses, and each subscription goes on from where it was", () => {
    const other = new Listener();
    connection.subscribe(ticketFor(["system"]), other);
    server.last.accept();
    const [one, two] = server.last.asked;
    server.last.send("snapshot", SNAPSHOT, "e-5", one?.id);
    server.last.send("snapshot", { topic: "system" }, "e-8", two?.id);
    server.last.end();
    expect([listener.kinds.at(-1), other.kinds.at(-1)]).toEqual(["retrying", "retrying"]);
    const pauses: number[] = [];
    for (let time = 0; time < 6; time += 1) {
      const attempts = server.attempts.length;
      let waited = 0;
      while (server.attempts.length === attempts) {
        vi.advanceTimersByTime(25);
        waited += 25;
      }
      pauses.push(waited);
      if (time < 5) server.last.end();
    }
    expect(pauses[0]).toBeLessThanOrEqual(650);
    for (const [index, pause] of pauses.slice(1).entries()) {
      expect(pause).toBeGreaterThan((pauses[index] ?? 0) * 1.1);
    }
    server.last.accept();
    expect(server.last.asked.map((asked) => asked.lastEventId)).toEqual(["e-5", "e-8"]);
    expect([listener.kinds.at(-1), other.kinds.at(-1)]).toEqual(["live", "live"]);
  });

  it("begins with short pauses again after one that lasted", () => {
    for (let time = 0; time < 5; time += 1) {
      server.last.end();
      vi.advanceTimersByTime(20_000);
    }
    server.last.accept();
    vi.advanceTimersByTime(6_000);
    server.last.end();
    const attempts = server.attempts.length;
    vi.advanceTimersByTime(650);
    expect(server.attempts.length).toBe(attempts + 1);
  });

  it("keeps growing pauses when the server takes every socket and drops it at once", () => {
    for (let time = 0; time < 40; time += 1) {
      if (!server.last.closed) {
        server.last.accept();
        server.last.end();
      }
      vi.advanceTimersByTime(1_000);
    }
    expect(server.attempts.length).toBeLessThan(12);
  });

  it("tells since when the rows are old, also who comes while it is lost", () => {
    server.last.accept();
    vi.advanceTimersByTime(3_000);
    server.last.ping();
    const heard = Date.now();
    vi.advanceTimersByTime(2_000);
    server.last.end();
    expect(listener.statuses.at(-1)).toEqual({ kind: "retrying", since: heard });
    const late = new Listener();
    connection.subscribe(TICKET, late);
    expect(late.statuses).toEqual([{ kind: "retrying", since: null }]);
    expect(server.attempts).toHaveLength(1); // the pause holds for it, too
    vi.advanceTimersByTime(1_000);
    server.last.accept();
    expect(server.last.subscribed.size).toBe(2);
  });

  it("answers pings, and takes a silent server for dead", () => {
    server.last.accept();
    vi.advanceTimersByTime(SILENCE_MS - 1);
    server.last.ping();
    expect(server.last.pongs).toBe(1);
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

  it("passes over what it does not understand", () => {
    server.last.accept();
    const { id } = server.last.newest;
    for (const frame of [
      "",
      "{",
      "null",
      "7",
      "[]",
      { type: "else", id },
      { id },
      { type: "ping7" },
    ])
      server.last.frame(frame);
    server.last.frame({ type: "change", id, data: null });
    server.last.send("snapshot", SNAPSHOT);
    expect(listener.events).toHaveLength(1);
    expect(listener.kinds.at(-1)).toBe("live");
  });

  it("does not wait for its pause when the tab is seen or the network is back", () => {
    for (const wake of [() => setVisibility("visible"), () => dispatchEvent(new Event("online"))]) {
      const attempts = server.attempts.length;
      server.last.end();
      wake();
      expect(server.attempts.length).toBe(attempts + 1);
    }
    server.last.end();
    subscription.retryNow();
    subscription.retryNow();
    expect(server.attempts).toHaveLength(4);
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

describe("a refused ticket", () => {
  it("is asked for anew at once, and the fresh one goes over the same socket", () => {
    const other = new Listener();
    server.last.refuse();
    connection.subscribe(ticketFor(["system"]), other);
    expect([listener.kinds.at(-1), other.kinds.at(-1)]).toEqual(["refused", "live"]);
    vi.advanceTimersByTime(0);
    expect([listener.refusals, other.refusals]).toEqual([1, 0]);
    subscription.update(FRESH);
    expect(server.attempts).toHaveLength(1);
    expect(server.last.newest.ticket).toBe(FRESH);
    expect(listener.kinds.at(-1)).toBe("live");
    vi.advanceTimersByTime(30_000);
    expect(listener.refusals).toBe(1);
  });

  it("does not lose the place: the fresh one goes on after the last event", () => {
    server.last.accept();
    server.last.send("snapshot", SNAPSHOT, "e-7");
    server.last.refuse(); // it was good for an hour
    const since = Date.now();
    expect(listener.statuses.at(-1)).toEqual({ kind: "refused", since });
    subscription.update(FRESH);
    expect(server.last.newest.lastEventId).toBe("e-7");
  });

  it("is not sent again when the connection comes back", () => {
    server.last.refuse();
    server.last.end();
    expect(listener.kinds.at(-1)).toBe("refused");
    vi.advanceTimersByTime(1_000);
    server.last.accept();
    expect(server.last.asked).toHaveLength(0);
    subscription.update(FRESH);
    expect(server.last.newest.ticket).toBe(FRESH);
  });

  it("is asked for less and less often when none is good, or none comes", () => {
    server.last.refuse();
    const asked: number[] = [];
    for (let second = 0; second < 100; second += 1) {
      const before = listener.refusals;
      vi.advanceTimersByTime(1_000);
      server.last.ping();
      if (listener.refusals > before) asked.push(second);
    }
    expect(asked).toEqual([0, 1, 5, 13, 29, 61]);
    server.last.good = false;
    for (let ticket = 3; ticket < 50; ticket += 1)
      subscription.update(ticketFor(["rooms"], ticket));
    expect(server.last.asked).toHaveLength(48);
    vi.advanceTimersByTime(1_000);
    expect(listener.refusals).toBe(6);
  });

  it("that came while the connection is lost is used once it is back", () => {
    server.last.accept();
    server.last.end();
    subscription.update(FRESH);
    vi.advanceTimersByTime(1_000);
    server.last.accept();
    expect(server.last.newest.ticket).toBe(FRESH);
  });
});

describe("a hidden tab", () => {
  it("gives its connection back, and goes on when it is seen", () => {
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
    server.last.accept();
    expect(server.last.newest.lastEventId).toBe("e-3");
    expect(listener.kinds).toEqual(["connecting", "live", "asleep", "connecting", "live"]);
  });

  it("is not meant by a short look at another tab", () => {
    server.last.accept();
    setVisibility("hidden");
    vi.advanceTimersByTime(HIDDEN_MS - 1);
    setVisibility("visible");
    vi.advanceTimersByTime(HIDDEN_MS);
    expect(server.attempts).toHaveLength(1);
    expect(server.open_).toBe(1);
  });

  it("opens nothing when it starts in the back, whoever subscribes", () => {
    setVisibility("hidden");
    const other = new FakeServer();
    const sleeping = new LiveConnection(other.open);
    const late = new Listener();
    const subscribed = sleeping.subscribe(TICKET, late);
    subscribed.update(FRESH);
    subscribed.retryNow();
    vi.advanceTimersByTime(60_000);
    expect(late.kinds).toEqual(["asleep"]);
    expect(other.attempts).toHaveLength(0);
    setVisibility("visible");
    expect(other.attempts).toHaveLength(1);
    other.last.accept();
    expect(other.last.newest.ticket).toBe(FRESH);
    sleeping.close();
  });

  it("asks for no ticket", () => {
    server.last.refuse();
    vi.advanceTimersByTime(0);
    setVisibility("hidden");
    vi.advanceTimersByTime(HIDDEN_MS);
    const before = listener.refusals;
    vi.advanceTimersByTime(600_000);
    expect(listener.refusals).toBe(before);
    expect(listener.kinds.at(-1)).toBe("asleep");
  });
});

describe("what a ticket is for", () => {
  it("is the same whenever it was made", () => {
    expect(topicKey(ticketFor(["rooms"], 1))).toBe(topicKey(ticketFor(["rooms"], 2)));
    expect(topicKey(ticketFor(["rooms"], 1))).not.toBe(topicKey(ticketFor(["system"], 1)));
  });

  it.each(["", "x", "a.b.c", `a.${btoa("7")}.c`, `a.${btoa("{}")}.c`, "a.%%.c"])(
    "is the ticket itself when %j cannot be read",
    (ticket) => {
      expect(topicKey(ticket)).toBe(ticket);
    },
  );
});
