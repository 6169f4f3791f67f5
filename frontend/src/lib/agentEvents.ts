// Made by `python -m scripts.events` from switchboard_recorder/events.py. Change that.
import type { Json } from "./json";

/** The job began. */
export interface JobStarted {
  readonly pid?: number;
  readonly host?: string;
  readonly versions?: { readonly [name: string]: string };
  readonly metadata?: string;
}

/** The job ends in good order. */
export interface JobEnded {
  readonly reason?: string;
}

/** A node; those of a subgraph are `<subgraph>:<node>`. */
export interface GraphNode {
  readonly id?: string;
  readonly name?: string;
  readonly kind?: "start" | "end" | "node" | "tools" | "graph";
}

/** A way from one node to another. */
export interface GraphEdge {
  readonly source?: string;
  readonly target?: string;
  readonly label?: string;
  readonly conditional?: boolean;
}

/** A graph's shape, told once. */
export interface GraphDescribed {
  readonly graph?: string;
  readonly nodes?: readonly GraphNode[];
  readonly edges?: readonly GraphEdge[];
}

/** A graph begins to run; `cause` is `message`, `resume` or the caller's word. */
export interface RunStarted {
  readonly run?: string;
  readonly thread_id?: string;
  readonly cause?: string;
}

/** It came to its end, or waits for the interrupts that it names. */
export interface RunFinished {
  readonly run?: string;
  readonly ms?: number;
  readonly next?: readonly string[];
  readonly interrupts?: readonly Json[];
}

/** It failed, or was `cancelled` by a barge-in. */
export interface RunFailed {
  readonly run?: string;
  readonly ms?: number;
  readonly error?: string | null;
  readonly cancelled?: boolean;
}

/** A node begins; `ns` is empty for the graph itself and names the way to a graph inside it. */
export interface NodeStarted {
  readonly run?: string;
  readonly task?: string;
  readonly node?: string;
  readonly step?: number;
  readonly ns?: string;
  readonly triggers?: readonly string[];
}

/** It has ended; `update` is what it gave to the state. */
export interface NodeFinished {
  readonly run?: string;
  readonly task?: string;
  readonly node?: string;
  readonly step?: number;
  readonly ns?: string;
  readonly ms?: number;
  readonly update?: Json;
  readonly error?: string | null;
  readonly interrupted?: boolean;
  readonly cancelled?: boolean;
}

/** The whole state after a super-step, and the channels that changed. `checkpoint_id` is empty where LangGraph was not run by the recorder. */
export interface StateSaved {
  readonly run?: string;
  readonly step?: number;
  readonly checkpoint_id?: string;
  readonly next?: readonly string[];
  readonly values?: Json;
  readonly changed?: readonly string[];
}

/** A tool is called. */
export interface ToolStarted {
  readonly run?: string;
  readonly task?: string;
  readonly node?: string;
  readonly call?: string;
  readonly tool?: string;
  readonly args?: Json;
  readonly call_id?: string;
}

/** It has answered or failed. */
export interface ToolFinished {
  readonly run?: string;
  readonly task?: string;
  readonly node?: string;
  readonly call?: string;
  readonly tool?: string;
  readonly args?: Json;
  readonly ms?: number;
  readonly output?: Json;
  readonly error?: string | null;
  readonly interrupted?: boolean;
  readonly cancelled?: boolean;
}

/** A model has answered or failed. */
export interface ModelFinished {
  readonly run?: string;
  readonly task?: string;
  readonly node?: string;
  readonly call?: string;
  readonly model?: string;
  readonly ms?: number;
  readonly ttft_ms?: number | null;
  readonly tokens_in?: number | null;
  readonly tokens_out?: number | null;
  readonly error?: string | null;
}

/** The graph is interrupted: `Command(resume={interrupt_id: decision})` answers. */
export interface InterruptRaised {
  readonly interrupt_id?: string;
  readonly node?: string;
  readonly value?: Json;
  readonly run?: string;
  readonly thread_id?: string;
}

/** The graph has the answer. */
export interface InterruptResumed {
  readonly interrupt_id?: string;
  readonly command_id?: string;
  readonly decision?: Json;
  readonly run?: string;
  readonly thread_id?: string;
}

/** What a node wrote with `get_stream_writer()`, or dispatched under a `name`. */
export interface Custom {
  readonly run?: string;
  readonly task?: string;
  readonly node?: string;
  readonly name?: string;
  readonly data?: Json;
}

/** The state of the agent or of the caller, in LiveKit's words. */
export interface StateChanged {
  readonly old?: string | null;
  readonly new?: string;
}

/** What the caller said; text that may still change is sent as `live`. */
export interface Transcribed {
  readonly text?: string;
  readonly final?: boolean;
  readonly language?: string;
  readonly speaker?: string;
}

/** LiveKit's measurements of a message, by its names; those in seconds there are ms here. */
export interface Metrics {
  readonly started_speaking_at?: string;
  readonly stopped_speaking_at?: string;
  readonly transcription_delay?: number;
  readonly end_of_turn_delay?: number;
  readonly on_user_turn_completed_delay?: number;
  readonly llm_node_ttft?: number;
  readonly tts_node_ttfb?: number;
  readonly e2e_latency?: number;
}

/** A message of the conversation; the dashboard adds `agent_name`. */
export interface MessageAdded {
  readonly id?: string;
  readonly role?: string;
  readonly text?: string;
  readonly interrupted?: boolean;
  readonly metrics?: Metrics;
  readonly agent_name?: string;
}

/** What the models have used so far, in LiveKit's form. */
export interface UsageUpdated {
  readonly usage?: Json;
}

/** A model, the speech or the session failed. */
export interface ErrorRaised {
  readonly source?: string;
  readonly message?: string;
  readonly recoverable?: boolean;
}

/** LiveKit's own report of the session, without audio. */
export interface Report {
  readonly report?: Json;
}

/** How a command went. */
export interface CommandDone {
  readonly command_id?: string;
  readonly outcome?: "done" | "refused" | "failed";
  readonly detail?: string;
}

/** So many events were dropped before this one; `kind` is that of one that no database took. */
export interface Gap {
  readonly count?: number;
  readonly reason?: string;
  readonly kind?: string;
}

/** Anything else: a hand-off between agents, the session's close, an event of your own. */
export interface Other {
  readonly kind?: string;
  readonly data?: Json;
}

/** What an agent may send, by kind. */
export interface AgentEvents {
  readonly job_started: JobStarted;
  readonly job_ended: JobEnded;
  readonly graph_described: GraphDescribed;
  readonly run_started: RunStarted;
  readonly run_finished: RunFinished;
  readonly run_failed: RunFailed;
  readonly node_started: NodeStarted;
  readonly node_finished: NodeFinished;
  readonly checkpoint_saved: StateSaved;
  readonly tool_started: ToolStarted;
  readonly tool_finished: ToolFinished;
  readonly model_finished: ModelFinished;
  readonly interrupt_raised: InterruptRaised;
  readonly interrupt_resumed: InterruptResumed;
  readonly custom: Custom;
  readonly agent_state_changed: StateChanged;
  readonly user_state_changed: StateChanged;
  readonly user_input_transcribed: Transcribed;
  readonly conversation_item_added: MessageAdded;
  readonly session_usage_updated: UsageUpdated;
  readonly error: ErrorRaised;
  readonly session_report: Report;
  readonly command_completed: CommandDone;
  readonly events_dropped: Gap;
  readonly unknown_agent_event: Other;
}

/** The fields of an event of that kind as they come: their names are sure, their values not. */
export type Sent<K extends keyof AgentEvents> = {
  readonly [F in keyof AgentEvents[K]]?: Json;
};
