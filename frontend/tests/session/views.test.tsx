import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { layout } from "../../src/session/graph/layout";
import { Fold } from "../../src/session/model/fold";
import type { SessionModel, StateValues } from "../../src/session/model/types";
import { StateView } from "../../src/session/state/StateView";
import { Answers } from "../../src/session/timeline/Answers";
import { Transcript } from "../../src/session/transcript/Transcript";
import { event, standUp } from "./events";

afterEach(cleanup);

function stood(): SessionModel {
  const fold = new Fold();
  fold.add(standUp());
  return fold.model();
}

const VALUES: StateValues = {
  peek: (id) => ({ id, messages: [{ type: "ai", content: "<b>x</b>" }] }),
  load: () => Promise.reject(new Error("away")),
};

it("the transcript searches, leads to a moment and dims what comes later", () => {
  const model = stood();
  const go = vi.fn();
  const { rerender } = render(<Transcript model={model} moment={null} onMoment={go} />);
  const log = screen.getByRole("log", { name: "Transcript" });
  expect(within(log).getAllByText("Caller")).toHaveLength(3);
  fireEvent.change(screen.getByRole("searchbox"), { target: { value: "AUDIT" } });
  expect(log.querySelectorAll("mark").length).toBeGreaterThan(1);
  const first = log.querySelector<HTMLButtonElement>(".sb-link");
  if (first) fireEvent.click(first);
  expect(go).toHaveBeenCalledOnce();
  fireEvent.change(screen.getByRole("searchbox"), { target: { value: "" } });
  rerender(<Transcript model={model} moment={model.from} onMoment={go} />);
  expect(log.querySelectorAll('[data-dimmed="true"]').length).toBeGreaterThan(5);
});

it("hostile text stays text", () => {
  const fold = new Fold();
  const text = `<img src=x onerror=alert(1)>${"مرحبا".repeat(10)}${"x".repeat(1_000_000)}`;
  fold.add([event("conversation_item_added", 0, { id: "1", role: "user", text, metrics: {} })]);
  render(<Transcript model={fold.model()} moment={null} onMoment={() => undefined} />);
  expect(document.querySelector("img")).toBeNull();
  expect(screen.getByRole("log").textContent?.length).toBeLessThan(25_000);
});

it("the state is a tree that opens by keys, with what changed and every step", () => {
  const model = stood();
  const go = vi.fn();
  render(<StateView model={model} moment={null} onMoment={go} values={VALUES} />);
  const messages = screen.getByRole("treeitem", { name: /messages/ });
  expect(messages.getAttribute("aria-expanded")).toBe("false");
  fireEvent.keyDown(messages, { key: "ArrowRight" });
  expect(screen.getByRole("treeitem", { name: /messages/ }).getAttribute("aria-expanded")).toBe(
    "true",
  );
  fireEvent.click(screen.getByRole("tab", { name: "Changes" }));
  expect(screen.getByRole("list", { name: "Changes in this step" })).toBeTruthy();
  fireEvent.click(screen.getByRole("tab", { name: "Steps" }));
  const steps = within(screen.getByRole("list", { name: "Steps" })).getAllByRole("button");
  expect(steps).toHaveLength(model.states.length);
  if (steps[2]) fireEvent.click(steps[2]);
  expect(go).toHaveBeenCalledWith(model.states[2]?.at);
  fireEvent.click(screen.getByRole("button", { name: "Previous step" }));
  expect(go).toHaveBeenLastCalledWith(model.states.at(-2)?.at);
});

it("a state that cannot be read says so and is tried again", async () => {
  const model = stood();
  const load = vi.fn(() => Promise.reject(new Error("It is away.")));
  const values = { peek: () => undefined, load };
  render(<StateView model={model} moment={null} onMoment={() => undefined} values={values} />);
  expect((await screen.findByRole("alert")).textContent).toContain("It is away.");
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(2));
});

it("the slowest answer is one click away", () => {
  const model = stood();
  const go = vi.fn();
  render(<Answers model={model} moment={null} onMoment={go} />);
  fireEvent.click(screen.getByRole("button", { name: /max/ }));
  const slowest = [...model.turns].sort(
    (a, b) => (b.answer?.totalMs ?? 0) - (a.answer?.totalMs ?? 0),
  )[0];
  expect(go).toHaveBeenCalledWith(slowest?.from);
});

it("a graph is laid out the same each time, and 200 nodes are no trouble", () => {
  const nodes = Array.from({ length: 200 }, (_, index) => ({
    id: `n${index}`,
    name: `n${index}`,
    kind: "node" as const,
    parent: index > 190 ? "sub" : "",
  }));
  const edges = nodes.slice(1).map((node, index) => ({
    source: `n${Math.floor(index / 3)}`,
    target: node.id,
    label: "",
    conditional: false,
  }));
  const shape = {
    name: "g",
    nodes,
    edges: [...edges, { ...edges[0], source: "n9", target: "n9" }],
  };
  const first = layout(shape as Parameters<typeof layout>[0]);
  expect(first.nodes.size).toBe(200);
  expect(first.groups.get("sub")?.width).toBeGreaterThan(0);
  expect([...layout(shape as Parameters<typeof layout>[0]).nodes]).toEqual([...first.nodes]);
});

it("a loop is drawn in the order in which its nodes were named, and its way back is the other one", () => {
  const shape = (names: string[]) => ({
    name: "g",
    nodes: names.map((id) => ({ id, name: id, kind: "node" as const, parent: "" })),
    edges: [
      ["hear", "propose"],
      ["hear", "hold"],
      ["hold", "approve"],
      ["propose", "approve"],
      ["approve", "propose"],
      ["approve", "create"],
    ].map(([source = "", target = ""]) => ({ source, target, label: "", conditional: true })),
  });
  const x = (names: string[], id: string) => layout(shape(names)).nodes.get(id)?.x ?? Number.NaN;
  const named = ["hear", "hold", "propose", "approve", "create"];
  expect(x(named, "propose")).toBeLessThan(x(named, "approve"));
  const other = ["hear", "hold", "approve", "propose", "create"];
  expect(x(other, "approve")).toBeLessThan(x(other, "propose"));
});
