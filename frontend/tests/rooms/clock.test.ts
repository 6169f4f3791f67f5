import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ServerClock } from "../../src/rooms/clock";

const NOW = Date.parse("2026-11-24T10:00:00Z");

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(NOW);
});
afterEach(() => vi.useRealTimers());

it("goes by the server's time, as told by the quickest message", () => {
  const clock = new ServerClock();
  clock.observe(NOW + 3_600_000 - 800);
  clock.observe(NOW + 3_600_000);
  clock.observe(NOW + 3_600_000 - 300);
  expect(clock.seconds()).toBe((NOW + 3_600_000) / 1000);
  expect(clock.fromLocal(NOW)).toBe(NOW + 3_600_000);
});

it("ticks each second with one timer for all, and with none for nobody", () => {
  const clock = new ServerClock();
  let ticks = 0;
  const tick = () => {
    ticks += 1;
  };
  const leave = [clock.subscribe(tick), clock.subscribe(() => undefined)];
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(3_000);
  expect(ticks).toBe(3);
  expect(clock.seconds()).toBe(NOW / 1000 + 3);
  for (const stop of leave) stop();
  expect(vi.getTimerCount()).toBe(0);
});
