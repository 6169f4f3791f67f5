import type { AgentEvents, Sent, Metrics as SentMetrics } from "../../lib/agentEvents";
import {
  field,
  isObject,
  type Json,
  type JsonObject,
  moment,
  number,
  text,
  texts,
} from "../../lib/json";
import { Lanes } from "./lanes";
import type {
  Answer,
  AnswerPart,
  Ask,
  Call,
  GraphNode,
  GraphShape,
  LaneId,
  Line,
  NodeVisit,
  Pin,
  SavedState,
  SessionModel,
  TraceEvent,
  Turn,
  VisitEnd,
} from "./types";

const KINDS = new Set(["start", "end", "node", "tools", "graph"]);
const OF_THE_AGENT: readonly LaneId[] = ["nodes", "tools", "model", "agent", "caller"];
const COMMANDS: Readonly<Record<string, string>> = {
  say: "Said to caller",
  coach: "Whispered to agent",
  pause: "Paused the agent",
  go_on: "Resumed the agent",
  take_over: "Took over",
  end: "Requested the end",
  resume: "Answered the interrupt",
  edit_state: "Edited the state",
};
const ROOM: Readonly<Record<string, string>> = {
  session_created: "Session created",
  room_started: "Room opened",
  room_finished: "Room closed",
  participant_joined: "Joined",
  participant_left: "Left",
  session_ending: "End requested",
  session_extended: "Session extended",
  job_connected: "Agent connected",
  job_disconnected: "Agent disconnected",
  agent_redispatched: "Agent redispatched",
  agent_redispatch_exhausted: "Redispatch exhausted",
  observer_joined: "Observer joined",
  observer_left: "Observer left",
  join_denied: "Join blocked",
};
const ROLES: readonly string[] = ["user", "assistant"];

type CallFinished = Sent<"tool_finished"> & Sent<"model_finished">;
type Metrics = { readonly [F in keyof SentMetrics]?: Json };
/** An event whose data is read by the names that its kind has. */
type Of<Data> = Omit<TraceEvent, "data"> & { readonly data: Data };
type SentEvent<K extends keyof AgentEvents> = Of<Sent<K>>;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A list by id in the order of time, whose entries are replaced and never changed. */
class Ordered<T extends { readonly id: string }> {
  readonly items: T[] = [];
  readonly #index = new Map<string, number>();
  readonly #when: (item: T) => number;
  #sorted = true;

  constructor(when: (item: T) => number) {
    this.#when = when;
  }

  /** A copy; sorted first if something came late. */
  list(): T[] {
    if (!this.#sorted) {
      this.items.sort((a, b) => this.#when(a) - this.#when(b));
      this.items.forEach((item, index) => {
        this.#index.set(item.id, index);
      });
      this.#sorted = true;
    }
    return [...this.items];
  }

  get(id: string): T | undefined {
    const index = this.#index.get(id);
    return index === undefined ? undefined : this.items[index];
  }

  put(item: T): void {
    const index = this.#index.get(item.id);
    const before = this.items[(index ?? this.items.length) - 1];
    if (before !== undefined && this.#when(before) > this.#when(item)) this.#sorted = false;
    if (index === undefined) {
      this.#index.set(item.id, this.items.length);
      this.items.push(item);
    } else this.items[index] = item;
  }

  remove(id: string): void {
    const index = this.#index.get(id);
    if (index === undefined) return;
    this.items.splice(index, 1);
    this.#index.delete(id);
    for (let later = index; later < this.items.length; later += 1) {
      const item = this.items[later];
      if (item !== undefined) this.#index.set(item.id, later);
    }
  }
}

/**
 * Makes a session of its events, one after the other, whatever order they come in and however
 * often. What an event changes is replaced, so that who holds the old model still has it whole.
 */
export class Fold {
  readonly #seen = new Set<string>();
  readonly #graphs = new Map<string, GraphShape>();
  readonly #visits = new Ordered<NodeVisit>(({ from }) => from);
  readonly #calls = new Ordered<Call>(({ from }) => from);
  readonly #states = new Ordered<SavedState>(({ at }) => at);
  readonly #asks = new Ordered<Ask>(({ from }) => from);
  readonly #lines = new Ordered<Line>(({ at }) => at);
  readonly #pins = new Ordered<Pin>(({ at }) => at);
  readonly #lanes = new Lanes();
  #turns: Turn[] = [];
  #heard: Metrics = {};
  #from = Number.POSITIVE_INFINITY;
  #to = 0;
  #version = 0;
  #recorded = false;
  #observed: SessionModel["observed"] = "";
  #agentState = "";
  #userState = "";
  #speaking: { agent: string | null; caller: string | null } = { agent: null, caller: null };
  #gaps = 0;
  #open = true;
  #interim: Line | null = null;

  set open(open: boolean) {
    if (open !== this.#open) this.#version += 1;
    this.#open = open;
  }

  /** Take events in; true: the model has changed. */
  add(events: readonly TraceEvent[]): boolean {
    const before = this.#version;
    for (const event of events) {
      if (this.#seen.has(event.id)) continue;
      this.#seen.add(event.id);
      this.#from = Math.min(this.#from, event.at);
      this.#to = Math.max(this.#to, event.at);
      this.#take(event);
      this.#version += 1;
    }
    return this.#version !== before;
  }

  /** What is shown and not kept: text that may still change. */
  live(event: TraceEvent): boolean {
    if (event.kind !== "user_input_transcribed") return false;
    const said = text(event.data.text);
    this.#interim = said === "" ? null : this.#line("interim", "caller", said, event, true);
    this.#to = Math.max(this.#to, event.at);
    this.#version += 1;
    return true;
  }

  model(): SessionModel {
    const lines = this.#lines.list();
    return {
      version: this.#version,
      from: Number.isFinite(this.#from) ? this.#from : 0,
      to: this.#to,
      open: this.#open,
      recorded: this.#recorded,
      observed: this.#observed,
      graphs: [...this.#graphs.values()],
      visits: this.#visits.list(),
      calls: this.#calls.list(),
      states: this.#states.list(),
      asks: this.#asks.list(),
      lines: this.#interim === null ? lines : [...lines, this.#interim],
      turns: [...this.#turns],
      spans: this.#lanes.list(),
      pins: this.#pins.list(),
      agentState: this.#agentState,
      userState: this.#userState,
      gaps: this.#gaps,
    };
  }

  // -- inside

  get #turn(): number | null {
    return this.#turns.length === 0 ? null : this.#turns.length - 1;
  }

  #take(event: TraceEvent): void {
    const { data, at } = event;
    if (event.source === "agent") this.#recorded = true;
    if (event.kind === "observer_joined")
      this.#observed = event.data.way === "session" ? "session" : "text";
    switch (event.kind) {
      case "graph_described":
        this.#graphs.set(text(data.graph), shape(data));
        return;
      case "node_started":
        this.#nodeStarted(event);
        return;
      case "node_finished":
        this.#nodeFinished(event);
        return;
      case "run_failed":
        this.#runFailed(event);
        return;
      case "checkpoint_saved":
        this.#states.put({
          id: event.id,
          at,
          run: text(data.run),
          step: number(data.step),
          checkpointId: text(data.checkpoint_id),
          next: texts(data.next),
          changed: texts(data.changed),
          turn: this.#turn,
        });
        return;
      case "tool_started":
        this.#callStarted(event);
        return;
      case "tool_finished":
      case "model_finished":
        this.#callFinished(event);
        return;
      case "interrupt_raised":
        this.#asked(event);
        return;
      case "interrupt_resumed":
        this.#answered(event);
        return;
      case "run_finished":
        this.#noLongerAsked(event);
        return;
      case "agent_state_changed":
        this.#agentState = text(data.new);
        this.#speaks("agent", at, this.#agentState === "speaking");
        return;
      case "user_state_changed":
        this.#userState = text(data.new);
        this.#speaks("caller", at, this.#userState === "speaking");
        return;
      case "conversation_item_added":
        this.#message(event);
        return;
      case "command_sent":
        this.#command(event);
        return;
      case "operator_action":
        this.#mark(event, "operator", words(text(data.action)));
        return;
      case "events_dropped":
        this.#gaps += number(data.count) ?? 0;
        return;
      case "error":
        this.#mark(event, "interruptions", text(data.message) || "Error", "bad");
        return;
      case "job_disconnected":
        this.#left(at);
        this.#mark(event, "room", "Agent disconnected", data.clean === false ? "bad" : "muted");
        return;
      case "note_added":
      case "note_changed":
        this.#pin(event);
        return;
      case "note_removed":
        this.#pins.remove(text(data.note_id));
        return;
      default: {
        const said = ROOM[event.kind];
        if (said !== undefined) this.#mark(event, "room", said);
      }
    }
  }

  #nodeStarted(event: TraceEvent): void {
    const { data, at }: SentEvent<"node_started"> = event;
    const id = visitId(data);
    const known = this.#visits.get(id);
    if (known !== undefined) {
      this.#visits.put({ ...known, from: at }); // its end came first
      return;
    }
    const node = nodeId(data);
    this.#visits.put({
      id,
      run: text(data.run),
      node,
      step: number(data.step),
      turn: this.#turn,
      from: at,
      to: null,
      end: "running",
      error: "",
      update: null,
    });
    this.#walk(node);
    this.#lanes.open({
      id,
      lane: "nodes",
      from: at,
      to: null,
      label: node,
      tone: "busy",
      detail: step(data),
      turn: this.#turn,
    });
  }

  #nodeFinished(event: TraceEvent): void {
    const { data, at }: SentEvent<"node_finished"> = event;
    const id = visitId(data);
    const took = number(data.ms) ?? 0;
    if (this.#visits.get(id) === undefined) {
      this.#nodeStarted({ ...event, at: at - took });
    }
    const visit = this.#visits.get(id);
    if (visit === undefined) return;
    const end: VisitEnd = text(data.error)
      ? "error"
      : data.interrupted === true
        ? "interrupted"
        : data.cancelled === true
          ? "cancelled"
          : "done";
    this.#visits.put({
      ...visit,
      to: at,
      end,
      error: text(data.error),
      update: field(data, "update"),
    });
    const tone = { error: "bad", interrupted: "ask", cancelled: "muted", done: "good" } as const;
    const detail: [string, string][] = step(data);
    if (text(data.error)) detail.push(["error", text(data.error)]);
    this.#lanes.change(id, { to: at, tone: tone[end], detail });
  }

  #runFailed(event: TraceEvent): void {
    const { data, at }: SentEvent<"run_failed"> = event;
    const cancelled = data.cancelled === true;
    for (const visit of this.#visits.items) {
      if (visit.run === text(data.run) && visit.to === null) {
        this.#visits.put({ ...visit, to: at, end: cancelled ? "cancelled" : "error" });
        this.#lanes.change(visit.id, { to: at, tone: cancelled ? "muted" : "bad" });
      }
    }
    this.#mark(
      event,
      "interruptions",
      cancelled ? "Barge-in" : text(data.error) || "Graph run failed",
      cancelled ? "muted" : "bad",
    );
  }

  #callStarted(event: TraceEvent): void {
    const { data, at }: SentEvent<"tool_started"> = event;
    const id = text(data.call) || event.id;
    if (this.#calls.get(id) !== undefined) return;
    this.#calls.put({ ...call(data, id, at, this.#turn), to: null });
    this.#lanes.open({
      id: `call:${id}`,
      lane: "tools",
      from: at,
      to: null,
      label: text(data.tool),
      tone: "busy",
      detail: [["node", text(data.node)]],
      turn: this.#turn,
    });
  }

  #callFinished(event: TraceEvent): void {
    const { data, at }: Of<CallFinished> = event;
    const id = text(data.call) || event.id;
    const known = this.#calls.get(id);
    const from = known?.from ?? at - (number(data.ms) ?? 0);
    const done = { ...call(data, id, from, known?.turn ?? this.#turn), to: at };
    this.#calls.put(known === undefined ? done : { ...done, args: known.args });
    const lane = done.kind === "tool" ? "tools" : "model";
    const tone = done.error ? "bad" : "good";
    const detail: [string, string][] = [["node", done.node]];
    if (done.tokensIn !== null) detail.push(["tokens in", String(done.tokensIn)]);
    if (done.tokensOut !== null) detail.push(["tokens out", String(done.tokensOut)]);
    if (done.error) detail.push(["error", done.error]);
    const span = { from, to: at, label: done.name, tone, detail, turn: done.turn } as const;
    this.#lanes.open({ id: `call:${id}`, lane, ...span });
    this.#lanes.change(`call:${id}`, span);
  }

  #asked(event: TraceEvent): void {
    const { data, at }: SentEvent<"interrupt_raised"> = event;
    const id = text(data.interrupt_id);
    if (this.#asks.get(id) !== undefined) return;
    const node = text(data.node);
    const ask = { id, node, value: field(data, "value"), from: at, to: null, decision: null };
    this.#asks.put(ask);
    this.#lanes.open({
      id: `ask:${id}`,
      lane: "questions",
      from: at,
      to: null,
      label: action(ask.value) || node,
      tone: "ask",
      detail: [["node", node]],
      turn: this.#turn,
    });
  }

  #answered(event: TraceEvent): void {
    const { data, at }: SentEvent<"interrupt_resumed"> = event;
    const ask = this.#asks.get(text(data.interrupt_id));
    if (ask === undefined) return;
    const decision = field(data, "decision");
    this.#asks.put({ ...ask, to: at, decision });
    this.#lanes.change(`ask:${ask.id}`, { to: at, tone: "good" });
  }

  /** What a run leaves unasked is asked no more: its state was changed, say. */
  #noLongerAsked({ data, at }: SentEvent<"run_finished">): void {
    if (!Array.isArray(data.interrupts)) return;
    const asks = new Set(data.interrupts.map((one) => text(isObject(one) ? one.id : one)));
    for (const ask of this.#asks.list()) {
      if (ask.to !== null || ask.from > at || asks.has(ask.id)) continue;
      this.#asks.put({ ...ask, to: at });
      this.#lanes.change(`ask:${ask.id}`, { to: at, tone: "muted" });
    }
  }

  #speaks(who: "agent" | "caller", at: number, now: boolean): void {
    const open = this.#speaking[who];
    if (open !== null && !now) {
      this.#lanes.change(open, { to: at });
      this.#speaking[who] = null;
    } else if (open === null && now) {
      const id = `${who}:${at}`;
      this.#lanes.open({
        id,
        lane: who,
        from: at,
        to: null,
        label: who === "agent" ? "Agent speaking" : "Caller speaking",
        tone: who === "agent" ? "good" : "plain",
        detail: [],
        turn: this.#turn,
      });
      this.#speaking[who] = id;
    }
  }

  #message(event: TraceEvent): void {
    const { data, at }: SentEvent<"conversation_item_added"> = event;
    const role = text(data.role);
    if (!ROLES.includes(role)) return;
    const metrics: Metrics = isObject(data.metrics) ? data.metrics : {};
    const id = text(data.id) || event.id;
    if (role === "user") {
      this.#interim = null;
      this.#heard = metrics;
      this.#begin(at, text(data.text));
      this.#lines.put(this.#line(id, "caller", text(data.text), event));
      const took = number(metrics.transcription_delay);
      const ended = moment(metrics.stopped_speaking_at);
      if (took !== null) {
        const from = ended ?? at - (number(metrics.end_of_turn_delay) ?? took);
        this.#lanes.open({
          id: `heard:${id}`,
          lane: "transcription",
          from,
          to: from + took,
          label: text(data.text),
          tone: "plain",
          detail: [],
          turn: this.#turn,
        });
      }
      return;
    }
    if (this.#turn === null) this.#begin(at, "");
    const interrupted = data.interrupted === true;
    this.#lines.put({ ...this.#line(id, "agent", text(data.text), event), interrupted });
    this.#answer(metrics, at, text(data.text), interrupted);
    if (interrupted) this.#mark(event, "interruptions", "Caller interrupted the agent", "muted");
    const sound = moment(metrics.started_speaking_at);
    const made = number(metrics.tts_node_ttfb);
    if (sound !== null && made !== null) {
      this.#lanes.open({
        id: `made:${id}`,
        lane: "synthesis",
        from: sound - made,
        to: sound,
        label: "Speech started",
        tone: "plain",
        detail: [],
        turn: this.#turn,
      });
    }
  }

  #begin(at: number, callerText: string): void {
    const index = this.#turns.length;
    const last = this.#turns[index - 1];
    if (last !== undefined) this.#turns[index - 1] = { ...last, to: at };
    const path = index === 0 && callerText === "" ? this.#visits.items.map(({ node }) => node) : [];
    this.#turns.push({
      index,
      from: at,
      to: null,
      callerText,
      agentText: "",
      interrupted: false,
      answer: null,
      path,
    });
  }

  #answer(metrics: Metrics, at: number, said: string, interrupted: boolean): void {
    const index = this.#turns.length - 1;
    const turn = this.#turns[index];
    if (turn === undefined) return;
    const answer = turn.answer ?? answerOf(turn, this.#heard, metrics);
    const agentText = turn.agentText ? `${turn.agentText} ${said}` : said;
    this.#turns[index] = {
      ...turn,
      to: at,
      agentText,
      interrupted: turn.interrupted || interrupted,
      answer,
    };
  }

  #walk(node: string): void {
    const index = this.#turns.length - 1;
    const turn = this.#turns[index];
    if (turn !== undefined) this.#turns[index] = { ...turn, path: [...turn.path, node] };
  }

  #command(event: TraceEvent): void {
    const { data } = event;
    const named = COMMANDS[text(data.action)] ?? words(text(data.action));
    const args = isObject(data.args) ? data.args : {};
    const decision = isObject(args.decision) ? text(args.decision.type) : "";
    const more = text(args.text) || decision;
    const said = more ? `${named}: ${more}` : named;
    this.#lines.put(this.#line(event.id, "operator", said, event));
    this.#mark(event, "operator", said, "ask");
  }

  #pin(event: TraceEvent): void {
    const { data } = event;
    const id = text(data.note_id) || event.id;
    this.#pins.put({
      id,
      at: moment(data.pinned_at) ?? event.at,
      text: text(data.text),
      author: event.actor,
      tags: texts(data.tags),
    });
  }

  #left(at: number): void {
    for (const visit of this.#visits.items) {
      if (visit.to === null) this.#visits.put({ ...visit, to: at, end: "lost" });
    }
    this.#lanes.endAll(at, OF_THE_AGENT);
    this.#speaking = { agent: null, caller: null };
    this.#agentState = "";
    this.#userState = "";
    this.#interim = null;
  }

  #mark(
    event: TraceEvent,
    lane: LaneId,
    label: string,
    tone: "plain" | "ask" | "bad" | "muted" = "plain",
  ): void {
    const detail: [string, string][] = [];
    if (event.identity) detail.push(["who", event.identity]);
    if (event.actor) detail.push(["by", event.actor]);
    const reason = text(event.data.reason);
    if (reason) detail.push(["reason", reason]);
    this.#lanes.open({
      id: `mark:${event.id}`,
      lane,
      from: event.at,
      to: event.at,
      label,
      tone,
      detail,
      turn: this.#turn,
    });
  }

  #line(id: string, role: Line["role"], said: string, event: TraceEvent, interim = false): Line {
    return {
      id,
      role,
      who: event.actor || event.identity,
      text: said,
      at: event.at,
      turn: this.#turn,
      interim,
      interrupted: false,
    };
  }
}

/** The parts of an answer's time, from what LiveKit measured of the caller's and of its own turn. */
function answerOf(turn: Turn, heard: Metrics, metrics: Metrics): Answer | null {
  const sound = moment(metrics.started_speaking_at);
  const told = number(metrics.e2e_latency);
  const ends: [AnswerPart, number | null][] = [
    ["transcription", number(heard.transcription_delay)],
    ["end_of_turn", number(heard.end_of_turn_delay)],
  ];
  const spans: [AnswerPart, number | null][] = [
    ["graph", number(metrics.llm_node_ttft)],
    ["speech", number(metrics.tts_node_ttfb)],
  ];
  if (turn.callerText === "" || [...ends, ...spans].every(([, ms]) => ms === null)) return null;
  const parts: Mutable<Answer["parts"][number]>[] = [];
  let spent = 0;
  const add = (part: AnswerPart, ms: number): void => {
    if (ms <= 0) return;
    parts.push({ part, from: spent, ms });
    spent += ms;
  };
  for (const [part, until] of ends) if (until !== null) add(part, until - spent);
  for (const [part, ms] of spans) if (ms !== null) add(part, ms);
  const totalMs = told ?? spent;
  const from = sound !== null && told !== null ? sound - told : turn.from - (ends[1]?.[1] ?? 0);
  return {
    from,
    to: sound ?? from + totalMs,
    totalMs,
    parts: parts.map((part) => ({ ...part, from: from + part.from })),
  };
}

function shape(data: Sent<"graph_described">): GraphShape {
  const nodes = Array.isArray(data.nodes) ? data.nodes.filter(isObject) : [];
  const edges = Array.isArray(data.edges) ? data.edges.filter(isObject) : [];
  const made = new Map<string, GraphNode>();
  for (const node of nodes) {
    const id = text(node.id);
    const kind = KINDS.has(text(node.kind)) ? (text(node.kind) as GraphNode["kind"]) : "node";
    const cut = id.lastIndexOf(":");
    const parent = cut < 0 ? "" : id.slice(0, cut);
    made.set(id, { id, name: cut < 0 ? text(node.name) || id : id.slice(cut + 1), kind, parent });
  }
  return {
    name: text(data.graph) || "graph",
    nodes: [...made.values()],
    edges: edges
      .map((edge) => ({
        source: text(edge.source),
        target: text(edge.target),
        label: text(edge.label),
        conditional: edge.conditional === true,
      }))
      .filter(({ source, target }) => made.has(source) && made.has(target)),
  };
}

/** A subgraph's nodes are told with the names of the graphs around them. */
function nodeId(data: Sent<"node_started">): string {
  const names = text(data.ns)
    .split("|")
    .map((part) => part.split(":")[0] ?? "")
    .filter((part) => part !== "");
  return [...names, text(data.node)].join(":");
}

function visitId(data: Sent<"node_started">): string {
  return `${text(data.run)}/${text(data.task)}`;
}

function step(data: Sent<"node_started">): [string, string][] {
  const number_ = number(data.step);
  return number_ === null ? [] : [["super-step", String(number_)]];
}

function call(data: CallFinished, id: string, from: number, turn: number | null): Call {
  const tool = text(data.tool);
  return {
    id,
    kind: tool ? "tool" : "model",
    name: tool || text(data.model) || "model",
    node: text(data.node),
    turn,
    from,
    to: null,
    error: text(data.error),
    args: field(data, "args"),
    output: field(data, "output"),
    ttftMs: number(data.ttft_ms),
    tokensIn: number(data.tokens_in),
    tokensOut: number(data.tokens_out),
  };
}

function action(value: Json): string {
  const request = isObject(value) ? value.action_request : null;
  return isObject(request ?? null) ? text((request as JsonObject).action) : "";
}

function words(name: string): string {
  return name.replaceAll("_", " ");
}
