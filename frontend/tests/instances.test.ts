import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { instances } from "../src/instances";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

interface Args {
  readonly parentElement: HTMLElement;
  readonly value: number;
}

function journal() {
  const lines: string[] = [];
  const component = instances<Args>(() => {
    lines.push("made");
    return {
      update: ({ value }) => lines.push(`drew ${value}`),
      destroy: () => lines.push("gone"),
    };
  });
  return { lines, component };
}

it("keeps one instance through all calls at one place, and another elsewhere", () => {
  const { lines, component } = journal();
  const parentElement = document.createElement("div");
  component({ parentElement, value: 1 });
  component({ parentElement, value: 2 });
  component({ parentElement: document.createElement("div"), value: 3 });
  expect(lines).toEqual(["made", "drew 1", "drew 2", "made", "drew 3"]);
});

it("goes when the latest call is cleaned up, not when one that was overtaken is", () => {
  const { lines, component } = journal();
  const parentElement = document.createElement("div");
  const first = component({ parentElement, value: 1 });
  const second = component({ parentElement, value: 2 });
  first();
  vi.runAllTimers();
  expect(lines).not.toContain("gone");
  second();
  vi.runAllTimers();
  expect(lines.at(-1)).toBe("gone");
});

it("stays when the next call comes right after the cleanup", () => {
  const { lines, component } = journal();
  const parentElement = document.createElement("div");
  component({ parentElement, value: 1 })();
  component({ parentElement, value: 2 });
  vi.runAllTimers();
  expect(lines).toEqual(["made", "drew 1", "drew 2"]);
});
