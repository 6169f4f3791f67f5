import type { Problem, WayOn } from "./store";

/** What kept a call from beginning or ended it, in words for the person who wanted to talk. */
export function microphoneProblem(error: unknown): Problem {
  const name = error instanceof DOMException || error instanceof Error ? error.name : "";
  const ways: readonly WayOn[] = ["again", "write"];
  if (name === "NotAllowedError" || name === "SecurityError")
    return {
      title: "The microphone is blocked",
      text: globalThis.isSecureContext
        ? "This browser does not let the page use it. Allow it beside the address, then try again; or write instead."
        : "Browsers give a microphone only to pages under https or on localhost. Open the dashboard that way, or write instead.",
      ways,
    };
  if (name === "NotFoundError" || name === "OverconstrainedError")
    return {
      title: "No microphone was found",
      text: "Plug one in, or choose another device, then try again; or write instead.",
      ways,
    };
  if (name === "NotReadableError" || name === "AbortError")
    return {
      title: "The microphone cannot be opened",
      text: "Another program may hold it. Close that, then try again; or write instead.",
      ways,
    };
  return {
    title: "There is no microphone to use",
    text: "This browser offers none to the page. Use another browser, or write instead.",
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
    text: text.join(" ") || `The dashboard answered ${answer.status}.`,
    ways: ["again"],
  };
}

export const UNREACHABLE: Problem = {
  title: "The dashboard does not answer",
  text: "Nothing was created. See that it runs, then try again.",
  ways: ["again"],
};

export const NO_SIGNAL: Problem = {
  title: "LiveKit cannot be reached from this browser",
  text: "The dashboard opened the room, but this browser does not reach LiveKit's address. LIVEKIT_PUBLIC_URL must be one that browsers reach.",
  ways: ["again"],
};

export const NO_MEDIA: Problem = {
  title: "No sound gets through",
  text: "LiveKit answers, but the way for sound could not be opened: a firewall may block its media ports (UDP 50000-60000, TCP 7881), or LiveKit names an address that this browser cannot reach.",
  ways: ["again"],
};

export const NO_AGENT: Problem = {
  title: "The agent has not come yet",
  text: "It was asked for. The room's page says what keeps it away, under “Why is the agent not here?”.",
  ways: ["end"],
};

export const AGENT_LEFT: Problem = {
  title: "The agent has left",
  text: "It said good-bye, or its job ended. If it was lost, it is asked for again by itself.",
  ways: ["end"],
};

export const SILENCED: Problem = {
  title: "The browser plays no sound yet",
  text: "It waits for a click of yours.",
  ways: ["sound"],
};

export const LOST: Problem = {
  title: "The connection was lost",
  text: "The network was away for too long. The room stays open for some seconds.",
  ways: ["back", "end"],
};

export const RELOADED: Problem = {
  title: "The page was reloaded in the middle of a call",
  text: "The call was left; its room stays open for some seconds.",
  ways: ["back", "end"],
};
