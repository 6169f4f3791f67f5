import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ComponentArgs } from "../src/streamlit";
import { inTurns, Turns, turns } from "../src/turns";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.advanceTimersByTime(5_000);
  vi.useRealTimers();
});

function journal() {
  const sent: [string, number][] = [];
  const begun = performance.now();
  return {
    sent,
    send: (name: string) => () => sent.push([name, Math.round(performance.now() - begun)]),
  };
}

describe("turns", () => {
  it("sends the first at once, and each other apart from the one before", () => {
    const { sent, send } = journal();
    const own = new Turns();
    for (const name of ["a", "b", "c"]) own.take(send(name));
    expect(sent).toEqual([["a", 0]]);
    vi.advanceTimersByTime(100);
    expect(sent.map(([name]) => name)).toEqual(["a", "b", "c"]);
    const times = sent.map(([, at]) => at);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(10);
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(10);
  });

  it("lets what somebody asked for go first", () => {
    const { sent, send } = journal();
    const own = new Turns();
    own.take(send("first"));
    own.take(send("tick"), { unasked: true });
    own.take(send("click"));
    vi.advanceTimersByTime(100);
    expect(sent.map(([name]) => name)).toEqual(["first", "click", "tick"]);
  });

  it("holds back what nobody asked for while somebody presses something", () => {
    const { sent, send } = journal();
    const own = new Turns();
    own.press(true);
    own.take(send("tick"), { unasked: true });
    vi.advanceTimersByTime(300);
    expect(sent).toEqual([]);
    own.press(false);
    own.take(send("click"));
    vi.advanceTimersByTime(2_000);
    expect(sent.map(([name]) => name)).toEqual(["click", "tick"]);
  });

  it("does not wait for ever for a button that is held down", () => {
    const { sent, send } = journal();
    const own = new Turns();
    own.press(true);
    own.take(send("tick"), { unasked: true });
    vi.advanceTimersByTime(1_100);
    expect(sent.map(([name]) => name)).toEqual(["tick"]);
  });

  it("hears presses anywhere on the page, and gives a component's values their turn", () => {
    const set: string[] = [];
    const args = inTurns<ComponentArgs<object>>({
      data: {},
      parentElement: document.createElement("div"),
      setStateValue: (name: string) => set.push(name),
      setTriggerValue: (name: string) => set.push(name),
    });
    document.dispatchEvent(new Event("pointerdown"));
    turns.take(() => set.push("tick"), { unasked: true });
    args.setStateValue("state", 1);
    args.setTriggerValue("trigger", 1);
    document.dispatchEvent(new Event("pointerup"));
    vi.advanceTimersByTime(2_000);
    expect(set).toEqual(["state", "trigger", "tick"]);
  });
});
