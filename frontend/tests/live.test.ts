import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LINGER_MS, LiveConnection } from "../src/lib/live/connection";
import { liveComponent, NOTE_AFTER_MS } from "../src/live";
import { Turns } from "../src/turns";
import { FakeServer, setVisibility } from "./fakeServer";

let server: FakeServer;
let parent: HTMLElement;
let triggers: string[];
let remove: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  setVisibility("visible");
  server = new FakeServer();
  parent = document.createElement("div");
  triggers = [];
  remove = liveComponent(
    new LiveConnection(server.open),
    new Turns(),
  )({
    data: { ticket: "1", maxPerSecond: 4 },
    parentElement: parent,
    setStateValue: () => undefined,
    setTriggerValue: (name) => triggers.push(name),
  });
  server.last.accept();
});

afterEach(() => {
  remove();
  vi.advanceTimersByTime(LINGER_MS + 1);
  vi.useRealTimers();
});

const CHANGE = { topic: "system", at: "2026-11-24T10:00:00Z" };

describe("the invisible listener", () => {
  it("has the page drawn again once it listens: before, it could have missed something", () => {
    expect(triggers).toEqual(["tick"]);
    expect(server.last.newest.rows).toBe(false); // Python reads what it draws by itself
    vi.advanceTimersByTime(10_000);
    expect(triggers).toEqual(["tick"]);
  });

  it("says at once that something changed, then at most four times a second", () => {
    vi.advanceTimersByTime(1_000);
    triggers.length = 0;
    server.last.send("change", CHANGE);
    expect(triggers).toEqual(["tick"]);
    for (let time = 0; time < 100; time += 1) {
      vi.advanceTimersByTime(10);
      server.last.send("change", CHANGE);
    }
    vi.advanceTimersByTime(10_000);
    expect(triggers).toHaveLength(6);
  });

  it("has the page drawn again after a loss: what happened meanwhile is not known", () => {
    server.last.end();
    vi.advanceTimersByTime(1_000);
    triggers.length = 0;
    server.last.accept();
    expect(triggers).toEqual(["tick"]);
  });

  it("shows a loss that lasts, and nothing else", () => {
    const note = parent.querySelector<HTMLElement>("[role=status]");
    expect(note?.hidden).toBe(true);
    server.last.end();
    vi.advanceTimersByTime(NOTE_AFTER_MS - 1);
    expect(note?.hidden).toBe(true);
    vi.advanceTimersByTime(1);
    expect(note?.hidden).toBe(false);
    expect(note?.textContent).toBe("Reconnecting to live updates…");
    vi.advanceTimersByTime(5_000);
    server.last.accept();
    expect(note?.hidden).toBe(true);
  });

  it("shows a loss also when one attempt after the other fails", () => {
    for (let time = 0; time < 4; time += 1) {
      server.last.end();
      vi.advanceTimersByTime(1_500);
    }
    expect(parent.querySelector<HTMLElement>("[role=status]")?.hidden).toBe(false);
  });

  it("asks for a fresh ticket when its own is refused", () => {
    triggers.length = 0;
    server.last.refuse();
    vi.advanceTimersByTime(1);
    vi.advanceTimersByTime(50); // its turn
    expect(triggers).toEqual(["ticket"]);
  });

  it("leaves nothing behind", () => {
    remove();
    vi.advanceTimersByTime(LINGER_MS + 1);
    expect(parent.childElementCount).toBe(0);
    expect(server.open_).toBe(0);
  });
});
