import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LiveListener } from "../../src/live/connection";
import { LINGER_MS, LiveHub, topicKey } from "../../src/live/hub";
import { FakeServer, setVisibility } from "../fakeStream";

function ticketUrl(topics: string[], exp: number): string {
  const claims = JSON.stringify({ aud: "switchboard-live", topics, exp });
  const part = btoa(claims).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  return `api/live?ticket=head.${part}.mark`;
}

function listener(): LiveListener {
  return { onEvent: () => undefined, onStatus: () => undefined, onRefused: () => undefined };
}

let server: FakeServer;
let hub: LiveHub;

beforeEach(() => {
  vi.useFakeTimers();
  setVisibility("visible");
  server = new FakeServer();
  hub = new LiveHub(server.open);
});

afterEach(() => {
  vi.advanceTimersByTime(LINGER_MS);
  vi.useRealTimers();
});

describe("the hub of a tab", () => {
  it("shares one stream among all who ask for the same topics", () => {
    const first = hub.subscribe(ticketUrl(["rooms"], 1), listener());
    const second = hub.subscribe(ticketUrl(["rooms"], 2), listener());
    expect(server.attempts).toHaveLength(1);
    first.close();
    vi.advanceTimersByTime(LINGER_MS);
    expect(server.open_).toBe(1);
    second.close();
    vi.advanceTimersByTime(LINGER_MS);
    expect(server.open_).toBe(0);
  });

  it("opens another stream for other topics", () => {
    const first = hub.subscribe(ticketUrl(["rooms"], 1), listener());
    const second = hub.subscribe(ticketUrl(["rooms", "system"], 1), listener());
    expect(server.open_).toBe(2);
    first.close();
    second.close();
  });

  it("keeps the stream for a page that is drawn again", () => {
    hub.subscribe(ticketUrl(["rooms"], 1), listener()).close();
    vi.advanceTimersByTime(LINGER_MS - 1);
    const again = hub.subscribe(ticketUrl(["rooms"], 2), listener());
    vi.advanceTimersByTime(10 * LINGER_MS);
    expect(server.attempts).toHaveLength(1);
    again.close();
  });

  it("keeps the stream when a page brings a fresh ticket, and moves for other topics", () => {
    const subscription = hub.subscribe(ticketUrl(["room:a"], 1), listener());
    subscription.update(ticketUrl(["room:a"], 2));
    expect(server.attempts).toHaveLength(1);
    subscription.update(ticketUrl(["room:b"], 3));
    expect(server.attempts).toHaveLength(2);
    vi.advanceTimersByTime(LINGER_MS);
    expect(server.attempts[0]?.closed).toBe(true);
    expect(server.open_).toBe(1);
    subscription.close();
  });
});

describe("what a live URL asks for", () => {
  it("is the same whenever the ticket was made", () => {
    expect(topicKey(ticketUrl(["rooms"], 1))).toBe(topicKey(ticketUrl(["rooms"], 2)));
    expect(topicKey(ticketUrl(["rooms"], 1))).not.toBe(topicKey(ticketUrl(["system"], 1)));
  });

  it("is the whole address when the ticket cannot be read", () => {
    for (const ticket of ["", "x", "a.b.c", `a.${btoa("7")}.c`]) {
      expect(topicKey(`api/live?ticket=${ticket}`)).toContain(`ticket=${ticket}`);
    }
  });
});
