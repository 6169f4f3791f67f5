import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type OpenedSocket, openWebSocket } from "../../../src/lib/live/socket";

/** The browser's own end of it. */
class FakeWebSocket {
  static readonly CONNECTING = 0;
  static made: FakeWebSocket[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  readonly sent: string[] = [];
  readonly closes: number[] = [];
  readonly address: string;

  constructor(address: URL) {
    this.address = address.href;
    FakeWebSocket.made.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(code: number): void {
    this.closes.push(code);
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
}

let seen: string[];
let opened: OpenedSocket;
let socket: FakeWebSocket;

beforeEach(() => {
  vi.stubGlobal("WebSocket", FakeWebSocket);
  FakeWebSocket.made = [];
  seen = [];
  opened = openWebSocket({
    onOpen: () => seen.push("open"),
    onFrame: (text) => seen.push(text),
    onEnd: () => seen.push("end"),
  });
  const [made] = FakeWebSocket.made;
  if (!made) throw new Error("no socket was made");
  socket = made;
});

afterEach(() => vi.unstubAllGlobals());

describe("the socket of a tab", () => {
  it("goes to the page's own server", () => {
    const here = new URL("api/live", document.baseURI).href;
    expect(socket.address).toBe(here.replace(/^http/, "ws"));
  });

  it("hands on what comes, and what is sent", () => {
    socket.open();
    socket.onmessage?.({ data: "one" });
    socket.onmessage?.({ data: new Blob() }); // binary is none of ours
    opened.send("two");
    socket.onclose?.();
    expect(seen).toEqual(["open", "one", "end"]);
    expect(socket.sent).toEqual(["two"]);
  });

  it("says nothing more once it is closed", () => {
    socket.open();
    opened.close();
    socket.onmessage?.({ data: "late" });
    socket.onclose?.();
    expect(seen).toEqual(["open"]);
    expect(socket.closes).toEqual([1000]);
  });

  it("is closed as soon as it is open when it was given up before", () => {
    opened.close();
    expect(socket.closes).toEqual([]);
    socket.open();
    expect(socket.closes).toEqual([1000]);
    expect(seen).toEqual([]);
  });
});
