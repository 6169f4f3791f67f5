import { afterEach, describe, expect, it, vi } from "vitest";
import type { SseEvent } from "../../src/live/sse";
import { type EndReason, openFetchStream } from "../../src/live/stream";

afterEach(() => vi.unstubAllGlobals());

interface Seen {
  opened: number;
  signs: number;
  events: SseEvent[];
  ended: Promise<EndReason>;
  close: () => void;
}

function open(answer: (request: RequestInit) => Promise<Response>, lastEventId = ""): Seen {
  vi.stubGlobal("fetch", (_url: URL, request: RequestInit) => answer(request));
  const seen: Seen = {
    opened: 0,
    signs: 0,
    events: [],
    ended: Promise.resolve("lost"),
    close: () => undefined,
  };
  seen.ended = new Promise((resolve) => {
    seen.close = openFetchStream("api/live?ticket=t", lastEventId, {
      onOpen: () => {
        seen.opened += 1;
      },
      onSign: () => {
        seen.signs += 1;
      },
      onEvent: (event) => seen.events.push(event),
      onEnd: resolve,
    });
  });
  return seen;
}

function stream(...pieces: string[]): Promise<Response> {
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      controller.close();
    },
  });
  const headers = { "Content-Type": "text/event-stream; charset=utf-8" };
  return Promise.resolve(new Response(body, { headers }));
}

describe("a stream over fetch", () => {
  it("gives events and every sign of life, then says that it was lost", async () => {
    const seen = open(() => stream("event: change\nid: e-1\nda", "ta: {}\n\n", ": ping\n\n"));
    expect(await seen.ended).toBe("lost");
    expect(seen.opened).toBe(1);
    expect(seen.signs).toBe(3);
    expect(seen.events).toEqual([{ kind: "change", data: "{}", id: "e-1" }]);
  });

  it("sends the last event id, so that the server can go on from there", async () => {
    let headers: unknown;
    const seen = open((request) => {
      headers = request.headers;
      return stream();
    }, "e-9");
    await seen.ended;
    expect(headers).toEqual({ Accept: "text/event-stream", "Last-Event-ID": "e-9" });
  });

  it.each([401, 403])("takes %i for a refused ticket", async (status) => {
    const seen = open(() => Promise.resolve(new Response("", { status })));
    expect(await seen.ended).toBe("refused");
    expect(seen.opened).toBe(0);
  });

  it("takes a busy server and a wrong kind of answer for lost", async () => {
    expect(await open(() => Promise.resolve(new Response("", { status: 503 }))).ended).toBe("lost");
    const page = new Response("<html>", { headers: { "Content-Type": "text/html" } });
    expect(await open(() => Promise.resolve(page)).ended).toBe("lost");
  });

  it("takes a network that is away for lost", async () => {
    expect(await open(() => Promise.reject(new TypeError("no network"))).ended).toBe("lost");
  });

  it("says nothing more once it was closed", async () => {
    let ended = false;
    const seen = open(() => stream("data: x\n\n"));
    void seen.ended.then(() => {
      ended = true;
    });
    seen.close();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect([seen.opened, seen.events.length, ended]).toEqual([0, 0, false]);
  });
});
