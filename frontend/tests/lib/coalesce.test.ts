import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { coalesce } from "../../src/lib/coalesce";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("runs at once, then never more often than asked, and never forgets the last", () => {
  let runs = 0;
  const ask = coalesce(() => {
    runs += 1;
  }, 250);
  ask();
  expect(runs).toBe(1);
  for (let time = 0; time < 100; time += 1) {
    vi.advanceTimersByTime(10);
    ask();
  }
  expect(runs).toBe(5);
  vi.advanceTimersByTime(250);
  expect(runs).toBe(6);
  vi.advanceTimersByTime(10_000);
  expect(runs).toBe(6);
  ask();
  expect(runs).toBe(7);
});

it("does not run any more once cancelled", () => {
  let runs = 0;
  const ask = coalesce(() => {
    runs += 1;
  }, 250);
  ask();
  ask();
  ask.cancel();
  vi.advanceTimersByTime(1_000);
  expect(runs).toBe(1);
});
