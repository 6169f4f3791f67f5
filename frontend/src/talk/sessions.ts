import { refusal, UNREACHABLE } from "./problems";
import type { CallSession, Mode, Problem } from "./store";

/** What the tester asks for. */
export interface Wanted {
  readonly agent: string;
  readonly mode: Mode;
  readonly user: string;
  readonly hours: number;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** A session, and what joins its room. The token stays in this object and nowhere else. */
export interface Ticket {
  readonly session: CallSession;
  readonly url: string;
  readonly token: string;
}

export type Made = { readonly ok: Ticket } | { readonly problem: Problem };

const PATH = "api/voice/session";
const ANSWER_MS = 15_000;

let pass: string | null = null;

/** What this browser proves itself by to the API; null: its cookie, or a proxy, does that. */
export function carryPass(given: string | null): void {
  pass = given;
}

/** A new session of `POST /api/voice/session`. */
export function create(wanted: Wanted): Promise<Made> {
  return ask("POST", PATH, {
    user_id: wanted.user,
    agent_id: wanted.agent,
    session_duration_hours: wanted.hours,
    mode: wanted.mode,
    ...(wanted.metadata === null ? {} : { metadata: wanted.metadata }),
  });
}

/** A fresh token for a session that is open. */
export function again(sessionId: string): Promise<Made> {
  return ask("POST", `${PATH}/${encodeURIComponent(sessionId)}/token`, {});
}

/** End the session's room. `leaving`: the page goes, and the request must outlive it. */
export async function end(sessionId: string, leaving = false): Promise<boolean> {
  try {
    const answer = await fetch(address(`${PATH}/${encodeURIComponent(sessionId)}`), {
      method: "DELETE",
      headers: proof(),
      keepalive: leaving,
      signal: leaving ? null : AbortSignal.timeout(ANSWER_MS),
    });
    return answer.ok;
  } catch {
    return false;
  }
}

async function ask(method: string, path: string, body: object): Promise<Made> {
  const wanted = JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(address(path), {
      method,
      headers: { "content-type": "application/json", ...proof() },
      body: wanted,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
  } catch {
    return { problem: UNREACHABLE };
  }
  if (!answer.ok) return { problem: await refusal(answer) };
  const made = (await answer.json()) as Record<string, unknown>;
  const expires = typeof made.expires_at === "string" ? Date.parse(made.expires_at) : Number.NaN;
  return {
    ok: {
      url: String(made.server_url),
      token: String(made.token),
      session: {
        id: String(made.session_id),
        roomName: String(made.room_name),
        agent: String(made.agent_id),
        expiresAt: Number.isNaN(expires) ? null : expires,
      },
    },
  };
}

function proof(): Record<string, string> {
  return pass === null ? {} : { authorization: `Bearer ${pass}` };
}

function address(path: string): string {
  return new URL(path, document.baseURI).href;
}
