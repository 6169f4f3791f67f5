/**
 * The call of this tab, as everything that draws it sees it.
 *
 * It belongs to no React tree: Streamlit takes pages and components away while somebody speaks.
 * What makes the call (call.ts, with LiveKit's client) writes here; the line on every other page
 * reads here without loading that client.
 */

export type Mode = "voice" | "text";

export type Phase =
  | "idle"
  | "asking" // for the microphone
  | "creating"
  | "joining"
  | "waiting" // for the agent
  | "talking"
  | "reconnecting"
  | "ending"
  | "ended"
  | "failed";

/** What can be done about a problem. */
export type WayOn = "again" | "write" | "back" | "sound" | "end";

export interface Problem {
  readonly title: string;
  readonly text: string;
  readonly ways: readonly WayOn[];
}

export interface CallLine {
  readonly id: string;
  readonly who: "me" | "agent";
  readonly text: string;
  /** It may still change. */
  readonly interim: boolean;
  readonly at: number;
}

/** Milliseconds from the click. */
export interface Marks {
  readonly joined: number | null;
  readonly listening: number | null;
  readonly firstSound: number | null;
}

export interface CallSession {
  readonly id: string;
  readonly roomName: string;
  readonly agent: string;
  readonly expiresAt: number | null;
}

export interface CallView {
  readonly phase: Phase;
  readonly mode: Mode;
  readonly session: CallSession | null;
  readonly joinedAt: number | null;
  readonly endedAt: number | null;
  readonly muted: boolean;
  /** LiveKit's word; "" until it was told. */
  readonly agentState: string;
  readonly lines: readonly CallLine[];
  readonly marks: Marks;
  readonly problem: Problem | null;
  /** Another tab of this browser is in a call, too. */
  readonly elsewhere: boolean;
}

export const NO_CALL: CallView = {
  phase: "idle",
  mode: "voice",
  session: null,
  joinedAt: null,
  endedAt: null,
  muted: false,
  agentState: "",
  lines: [],
  marks: { joined: null, listening: null, firstSound: null },
  problem: null,
  elsewhere: false,
};

/** What the line on other pages may do to the call. */
export interface CallControl {
  mute(muted: boolean): Promise<void>;
  end(): Promise<void>;
}

/** In a call, or on the way into one: the microphone may be open. */
export function isOpen(view: CallView): boolean {
  return !["idle", "ended", "failed"].includes(view.phase);
}

export class CallStore {
  #view: CallView = NO_CALL;
  #listeners = new Set<() => void>();
  control: CallControl | null = null;

  get view(): CallView {
    return this.#view;
  }

  set(change: Partial<CallView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }

  /** For `useSyncExternalStore`. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  read = (): CallView => this.#view;
}

/** The one of this tab. */
export const store = new CallStore();
