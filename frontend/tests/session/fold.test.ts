import { describe, expect, it } from "vitest";
import { traceEvent } from "../../src/session/data/source";
import { graphAt, stateAt, turnAt } from "../../src/session/model/at";
import { Fold } from "../../src/session/model/fold";
import type { SessionModel, TraceEvent } from "../../src/session/model/types";
import { event, standUp } from "./events";

function fold(events: readonly TraceEvent[]): SessionModel {
  const made = new Fold();
  made.add(events);
  return made.model();
}

function run(ms: number, node: string, task: string, more: object = {}): TraceEvent[] {
  const data = { run: "r", task, node, step: 1, ns: "" };
  return [
    event("node_started", ms, data),
    event("node_finished", ms + 10, { ...data, ms: 10, update: {}, ...more }),
  ];
}

describe("a real stand-up", () => {
  const model = fold(standUp());

  it("has its turns, what was said in order, and how fast it was answered", () => {
    expect(model.turns.map((turn) => turn.callerText)).toEqual([
      "",
      "Yesterday I finished the login page.",
      "Today I will work on the audit log.",
      "I am blocked by the missing database access.",
    ]);
    expect(model.lines.filter((line) => line.role === "agent")).toHaveLength(5);
    expect(model.turns[1]?.answer?.parts.map(({ part }) => part)).toEqual(["graph"]);
    expect(model.turns[1]?.answer?.totalMs).toBeGreaterThan(0);
  });

  it("has each node's runs, all of them over, and the way of each turn", () => {
    expect(model.visits).toHaveLength(15);
    expect(model.visits.every((visit) => visit.to !== null)).toBe(true);
    expect(model.turns[0]?.path).toEqual(["hear", "greet"]);
    expect(model.turns[1]?.path).toEqual(["hear", "ask"]);
  });

  it("has what was asked and decided, and by whom", () => {
    expect(model.asks).toHaveLength(1);
    expect(model.asks[0]?.decision).toEqual({ type: "accept", args: null });
    expect(model.lines.find((line) => line.role === "operator")?.text).toContain("accept");
  });

  it("looks at any moment as it was then", () => {
    const ask = model.asks[0];
    if (ask === undefined) throw new Error("nothing was asked");
    const shape = model.graphs[0] ?? null;
    const look = graphAt(model, ask.from + 1, shape);
    expect(look.nodes.get("approve")?.end).not.toBe("error");
    expect(look.nodes.get("create")).toBeUndefined();
    expect(look.edges.has("__start__>hear")).toBe(true);
    expect(graphAt(model, null, shape).nodes.get("hear")?.count).toBe(4);
    expect(stateAt(model, model.from - 1)).toBeNull();
    expect(stateAt(model, null)?.id).toBe(model.states.at(-1)?.id);
    expect(turnAt(model, ask.from)).toBe(3);
  });

  it("is the same when events come twice, one by one, or the other way round", () => {
    const again = new Fold();
    for (const one of standUp()) again.add([one, one]);
    expect({ ...again.model(), version: 0 }).toEqual({ ...model, version: 0 });
    const back = fold(standUp().reverse());
    expect(back.visits).toHaveLength(15);
    expect(back.visits.every((visit) => visit.to !== null && visit.to >= visit.from)).toBe(true);
    const order = back.visits.map((visit) => visit.from);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });
});

describe("what may happen", () => {
  it("marks errors, barge-ins, questions and what a lost job left running", () => {
    const model = fold([
      ...run(0, "a", "1", { error: "ValueError: no" }),
      ...run(20, "b", "2", { interrupted: true }),
      event("node_started", 40, { run: "x", task: "3", node: "c" }),
      event("run_failed", 50, { run: "x", cancelled: true }),
      event("node_started", 60, { run: "y", task: "4", node: "d" }),
      event("job_disconnected", 70, { clean: false }),
    ]);
    const ends = model.visits.map((visit) => [visit.node, visit.end]);
    expect(ends).toEqual([
      ["a", "error"],
      ["b", "interrupted"],
      ["c", "cancelled"],
      ["d", "lost"],
    ]);
    expect(graphAt(model, null, null).nodes.get("a")?.error).toBe("ValueError: no");
    expect(model.spans.every((span) => span.to !== null)).toBe(true);
  });

  it("shows a node as running until it has finished", () => {
    const made = new Fold();
    const [start, end] = run(0, "a", "1");
    if (!start || !end) throw new Error("no events");
    made.add([start]);
    expect(graphAt(made.model(), null, null).running).toEqual(["a"]);
    made.add([end]);
    expect(graphAt(made.model(), null, null).running).toEqual([]);
    expect(graphAt(made.model(), start.at, null).running).toEqual(["a"]);
  });

  it("puts what overlaps into rows of its own", () => {
    const [a, A] = run(0, "a", "1");
    const [b, B] = run(5, "b", "2");
    const [c, C] = run(30, "c", "3");
    if (!a || !A || !b || !B || !c || !C) throw new Error("no events");
    const rows = fold([a, b, A, B, c, C]).spans.map((span) => [span.label, span.row]);
    expect(rows).toEqual([
      ["a", 0],
      ["b", 1],
      ["c", 0],
    ]);
  });

  it("splits the time of an answer as LiveKit measured it", () => {
    const user = { transcription_delay: 300, end_of_turn_delay: 500 };
    const agent = { llm_node_ttft: 20, tts_node_ttfb: 120, e2e_latency: 640 };
    const message = (ms: number, role: string, metrics: object): TraceEvent =>
      event("conversation_item_added", ms, { id: role, role, text: role, metrics });
    const model = fold([message(1000, "user", user), message(2000, "assistant", agent)]);
    const answer = model.turns[0]?.answer;
    expect(answer?.totalMs).toBe(640);
    expect(answer?.parts.map(({ part, ms }) => [part, ms])).toEqual([
      ["transcription", 300],
      ["end_of_turn", 200],
      ["graph", 20],
      ["speech", 120],
    ]);
  });

  it("takes a subgraph's nodes by the names around them", () => {
    const model = fold([
      event("node_started", 0, { run: "r", task: "1", node: "in", ns: "outer:abc|inner:def" }),
    ]);
    expect(model.visits[0]?.node).toBe("outer:inner:in");
  });

  it("shows interim text until the message is there", () => {
    const made = new Fold();
    made.live(event("user_input_transcribed", 0, { text: "I fin" }));
    expect(made.model().lines[0]).toMatchObject({ text: "I fin", interim: true });
    const said = { id: "m", role: "user", text: "I finished", metrics: {} };
    made.add([event("conversation_item_added", 10, said)]);
    expect(made.model().lines.map((line) => line.text)).toEqual(["I finished"]);
  });

  it("survives what is no event, and hostile values", () => {
    const odd = [{}, { id: "x" }, { id: "y", at: "soon" }, { id: 7, at: "2026-01-01T00:00:00Z" }];
    expect(odd.map(traceEvent)).toEqual(odd.map(() => null));
    const model = fold([
      event("graph_described", 0, { graph: 7, nodes: [null, { id: "<img>" }], edges: "no" }),
      event("node_started", 1, {}),
      event("node_finished", 2, { ms: "NaN", error: ["x"] }),
      event("checkpoint_saved", 3, { step: null, next: "a", changed: [1, "b"] }),
      event("conversation_item_added", 4, { role: "system", text: "x" }),
      event("events_dropped", 5, { count: 3 }),
      event("a_kind_of_tomorrow", 6, { x: 1 }),
    ]);
    expect(model.gaps).toBe(3);
    expect(model.states[0]?.changed).toEqual(["b"]);
    expect(model.graphs[0]?.nodes[0]?.id).toBe("<img>");
  });
});

it("asks no more what a later run leaves unasked", () => {
  const model = fold([
    event("interrupt_raised", 1, { interrupt_id: "one", node: "approve" }),
    event("run_finished", 2, { run: "r", interrupts: ["one"] }),
    event("interrupt_raised", 3, { interrupt_id: "two", node: "approve" }),
    event("run_finished", 4, { run: "s", interrupts: ["two"] }),
  ]);
  expect(model.asks.map(({ id, to }) => [id, to === null])).toEqual([
    ["one", false],
    ["two", true],
  ]);
});

it("tells whether a recorder or an observer told", () => {
  const by = (source: string, kind: string, data = {}) => ({ ...event(kind, 1, data), source });
  expect(fold([by("webhook", "room_started")])).toMatchObject({ recorded: false, observed: "" });
  const heard = [
    by("observer", "observer_joined", { way: "session" }),
    by("observer", "conversation_item_added", { role: "user", text: "hello", id: "m" }),
  ];
  expect(fold(heard)).toMatchObject({ recorded: false, observed: "session" });
  expect(fold([by("observer", "observer_joined", { way: "?" })]).observed).toBe("text");
});

it("a long session is folded and looked at quickly", () => {
  const events: TraceEvent[] = [];
  for (let index = 0; index < 4_000; index += 1) {
    events.push(...run(index * 20, `n${index % 15}`, `${index}`));
    events.push(event("checkpoint_saved", index * 20 + 11, { step: index, changed: ["messages"] }));
  }
  const began = performance.now();
  const model = fold(events);
  graphAt(model, null, null);
  const whole = performance.now() - began;
  const made = new Fold();
  made.add(events);
  const then = performance.now();
  made.add(run(1e6, "n1", "last"));
  made.model();
  const one = performance.now() - then;
  expect(model.visits).toHaveLength(4_000);
  expect(one).toBeLessThan(whole / 2); // one more does not fold everything anew
});
