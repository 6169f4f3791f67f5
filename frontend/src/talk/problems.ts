import type { Problem, WayOn } from "./store";

/** What kept a call from beginning or ended it, in words for the person who wanted to talk. */
export function microphoneProblem(error: unknown): Problem {
  const name = error instanceof DOMException || error instanceof Error ? error.name : "";
  const ways: readonly WayOn[] = ["again", "write"];
  if (name === "NotAllowedError" || name === "SecurityError")
    return {
      title: "The microphone is blocked",
      text: globalThis.isSecureContext
        ? "Allow the microphone in the browser's address bar, then try again. Or switch to text."
        : "Browsers allow the microphone only on https pages and on localhost. Open the dashboard that way, or switch to text.",
      ways,
    };
  if (name === "NotFoundError" || name === "OverconstrainedError")
    return {
      title: "No microphone found",
      text: "Connect one or select another device, then try again. Or switch to text.",
      ways,
    };
  if (name === "NotReadableError" || name === "AbortError")
    return {
      title: "The microphone is unavailable",
      text: "Another program may be using it. Close that program, then try again. Or switch to text.",
      ways,
    };
  return {
    title: "No microphone available",
    text: "This browser doesn't give the page access to a microphone. Use another browser, or switch to text.",
    ways,
  };
}

/** An answer that is not a session: problem+json says why, if it is ours. */
export async function refusal(answer: Response): Promise<Problem> {
  let told: unknown = null;
  try {
    told = await answer.json();
  } catch {
    told = null; // a proxy's page
  }
  const body = typeof told === "object" && told !== null ? (told as Record<string, unknown>) : {};
  const text = [body.detail, body.hint].filter((part) => typeof part === "string" && part !== "");
  return {
    title: typeof body.title === "string" ? body.title : "The session was not created",
    text: text.join(" ") || `The dashboard responded with status ${answer.status}.`,
    ways: ["again"],
  };
}

export const UNREACHABLE: Problem = {
  title: "The dashboard is unavailable",
  text: "No session was created. Check that the dashboard is running, then try again.",
  ways: ["again"],
};

export const NO_SIGNAL: Problem = {
  title: "This browser can't reach LiveKit",
  text: "The dashboard created the room, but this browser can't connect to LiveKit. Set LIVEKIT_PUBLIC_URL to an address that browsers can reach.",
  ways: ["again"],
};

export const NO_MEDIA: Problem = {
  title: "No audio connection",
  text: "LiveKit is reachable, but no audio path could be established. A firewall may block its media ports (UDP 50000-60000, TCP 7881), or LiveKit announces an address that this browser can't reach.",
  ways: ["again"],
};

export const NO_AGENT: Problem = {
  title: "The agent has not joined",
  text: "It was dispatched but has not joined. See “Why didn't the agent join?” on the room's page.",
  ways: ["end"],
};

export const AGENT_LEFT: Problem = {
  title: "The agent has left",
  text: "It ended the call, or its job ended. If it crashed, Switchboard dispatches it again.",
  ways: ["end"],
};

export const SILENCED: Problem = {
  title: "Sound is off",
  text: "Click to enable sound.",
  ways: ["sound"],
};

export const LOST: Problem = {
  title: "Connection lost",
  text: "The connection was lost for too long. The room stays open for a few seconds.",
  ways: ["back", "end"],
};

export const RELOADED: Problem = {
  title: "The page was reloaded during a call",
  text: "You left the call. The room closes shortly.",
  ways: ["back", "end"],
};
