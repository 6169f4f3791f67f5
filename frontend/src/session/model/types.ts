import type { GraphEdge as SentEdge, GraphNode as SentNode } from "../../lib/agentEvents";
import type { Json, JsonObject } from "../../lib/json";

/**
 * A session as the views draw it. Moments are milliseconds since 1970, with fractions;
 * durations are milliseconds. Everything is read only: what changed is a new object.
 */

/** One thing that happened, as the history and the live topic both tell it. `id` is unique. */
export interface TraceEvent {
  readonly id: string;
  /** services/events.py `Kind`, or a kind that is newer than we are. */
  readonly kind: string;
  readonly at: number;
  /** webhook, poll, operator, api, system, agent. */
  readonly source: string;
  readonly identity: string;
  readonly actor: string;
  readonly data: JsonObject;
}

// -- the graph

export interface GraphNode {
  /** Unique in its graph. A subgraph's nodes are `<subgraph>:<node>`. */
  readonly id: string;
  readonly name: string;
  readonly kind: Required<SentNode>["kind"];
  /** The subgraph that it stands in; "" for the graph's own. */
  readonly parent: string;
}

export type GraphEdge = Required<SentEdge>;

export interface GraphShape {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

export type VisitEnd = "running" | "done" | "error" | "interrupted" | "cancelled" | "lost";

/** One time that a node ran. */
export interface NodeVisit {
  /** `<run>/<task>`. */
  readonly id: string;
  readonly run: string;
  readonly node: string;
  readonly step: number | null;
  /** Index in `SessionModel.turns`; null before the first one. */
  readonly turn: number | null;
  readonly from: number;
  readonly to: number | null;
  readonly end: VisitEnd;
  readonly error: string;
  /** What it gave to the state, bounded; null while it runs. */
  readonly update: Json;
}

/** A tool's or a model's call, in a node or outside of one. */
export interface Call {
  readonly id: string;
  readonly kind: "tool" | "model";
  readonly name: string;
  readonly node: string;
  readonly turn: number | null;
  readonly from: number;
  readonly to: number | null;
  readonly error: string;
  readonly args: Json;
  readonly output: Json;
  readonly ttftMs: number | null;
  readonly tokensIn: number | null;
  readonly tokensOut: number | null;
}

/** The graph's state after a super-step. Its values are fetched when somebody looks. */
export interface SavedState {
  /** The event's id; `StateValues` takes it. */
  readonly id: string;
  readonly at: number;
  readonly run: string;
  readonly step: number | null;
  readonly checkpointId: string;
  readonly next: readonly string[];
  readonly changed: readonly string[];
  readonly turn: number | null;
}

/** What the graph asks of a human. */
export interface Ask {
  readonly id: string;
  readonly node: string;
  readonly value: Json;
  readonly from: number;
  /** When the graph had its answer; null while it waits. */
  readonly to: number | null;
  readonly decision: Json;
}

// -- what was said

export interface Line {
  readonly id: string;
  readonly role: "caller" | "agent" | "operator" | "note";
  /** An identity, a node's name, an operator: who said or did it. */
  readonly who: string;
  readonly text: string;
  readonly at: number;
  readonly turn: number | null;
  /** It may still change. */
  readonly interim: boolean;
  /** The caller cut it off. */
  readonly interrupted: boolean;
}

export type AnswerPart = "transcription" | "end_of_turn" | "graph" | "speech";

/** From the end of the caller's speech to the first sound of the answer. */
export interface Answer {
  /** End of speech. */
  readonly from: number;
  /** First sound; null: it was not told. */
  readonly to: number | null;
  readonly totalMs: number | null;
  /** In order, each from the end of the one before. */
  readonly parts: readonly {
    readonly part: AnswerPart;
    readonly from: number;
    readonly ms: number;
  }[];
}

/** What a caller said and the agent's answer; the greeting is a turn without a caller. */
export interface Turn {
  readonly index: number;
  readonly from: number;
  readonly to: number | null;
  readonly callerText: string;
  readonly agentText: string;
  readonly interrupted: boolean;
  readonly answer: Answer | null;
  /** Ids of nodes in the order in which they began. */
  readonly path: readonly string[];
}

// -- one clock

export const LANES = [
  "caller",
  "transcription",
  "nodes",
  "tools",
  "model",
  "synthesis",
  "agent",
  "interruptions",
  "questions",
  "operator",
  "room",
] as const;
export type LaneId = (typeof LANES)[number];

export type Tone = "plain" | "good" | "busy" | "ask" | "bad" | "muted";

/** A bar on the timeline, or a mark where `to` equals `from`. `to` null: it goes on. */
export interface Span {
  readonly id: string;
  readonly lane: LaneId;
  /** Spans of one lane that overlap have different rows. */
  readonly row: number;
  readonly from: number;
  readonly to: number | null;
  readonly label: string;
  readonly tone: Tone;
  readonly detail: readonly (readonly [name: string, value: string])[];
  readonly turn: number | null;
}

/** A note of a reviewer, pinned to a moment. */
export interface Pin {
  readonly id: string;
  readonly at: number;
  readonly text: string;
  readonly author: string;
  readonly tags: readonly string[];
}

export interface SessionModel {
  /** Grows with each change. */
  readonly version: number;
  readonly from: number;
  /** The last moment that is known; an open session's views go on by the server's clock. */
  readonly to: number;
  readonly open: boolean;
  /** Whether a recorder tells; without one there are no nodes and no state. */
  readonly recorded: boolean;
  /** What a hidden observer heard by, where no recorder tells; "": there was none. */
  readonly observed: "" | "session" | "text";
  readonly graphs: readonly GraphShape[];
  /** Ordered by `from`, as are all of these. */
  readonly visits: readonly NodeVisit[];
  readonly calls: readonly Call[];
  readonly states: readonly SavedState[];
  readonly asks: readonly Ask[];
  readonly lines: readonly Line[];
  readonly turns: readonly Turn[];
  readonly spans: readonly Span[];
  readonly pins: readonly Pin[];
  /** LiveKit's words; "" while unknown. */
  readonly agentState: string;
  readonly userState: string;
  /** What the recorder had to drop. */
  readonly gaps: number;
}

// -- what a view is given

/** A moment that the reader chose; null: it follows what happens now. */
export type Moment = number | null;

export interface ViewProps {
  readonly model: SessionModel;
  readonly moment: Moment;
  /** Go there; null is "live". */
  readonly onMoment: (moment: Moment) => void;
}

export interface StateValues {
  /** The values, when they are at hand; undefined: call `load`. */
  peek(id: string): Json | undefined;
  /** Rejects with an `Error` whose message may be shown. */
  load(id: string): Promise<Json>;
}
