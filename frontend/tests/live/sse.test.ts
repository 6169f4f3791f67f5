import { describe, expect, it } from "vitest";
import { SseParser } from "../../src/live/sse";

describe("the event stream reader", () => {
  it("gives whole events, whatever the pieces they come in", () => {
    const parser = new SseParser();
    const text = 'event: change\nid: e-1\ndata: {"a":1}\n\nevent: change\nid: e-2\ndata: {}\n\n';
    const events = [...text].flatMap((character) => parser.push(character));
    expect(events).toEqual([
      { kind: "change", data: '{"a":1}', id: "e-1" },
      { kind: "change", data: "{}", id: "e-2" },
    ]);
  });

  it("joins lines of data, drops one leading space, and takes CRLF", () => {
    const [event] = new SseParser().push("data:  two\r\ndata:lines\r\n\r\n");
    expect(event).toEqual({ kind: "message", data: " two\nlines", id: "" });
  });

  it("takes comments and events without data for nothing", () => {
    expect(new SseParser().push(": ping\n\nevent: ping\n\nretry: 3\n\n")).toEqual([]);
  });

  it("keeps the last id, also the one it was given, and refuses one with NUL", () => {
    const parser = new SseParser("e-7");
    expect(parser.push("data: x\n\n")[0]?.id).toBe("e-7");
    expect(parser.push("id: e-8\n\ndata: x\n\n")[0]?.id).toBe("e-8");
    expect(parser.push("id: e\u00009\ndata: x\n\n")[0]?.id).toBe("e-8");
  });

  it("holds back an event that is not finished", () => {
    expect(new SseParser().push("data: half")).toEqual([]);
  });
});
