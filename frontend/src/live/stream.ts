import { type SseEvent, SseParser } from "./sse";

/** Why a stream is over: `refused` = the ticket no longer counts; `lost` = anything else. */
export type EndReason = "refused" | "lost";

export interface StreamHandlers {
  onOpen(): void;
  /** Bytes came, be it only a ping: the far end lives. */
  onSign(): void;
  onEvent(event: SseEvent): void;
  onEnd(reason: EndReason): void;
}

/** Opens a stream and gives the way to close it. After closing no handler is called any more. */
export type OpenStream = (url: string, lastEventId: string, handlers: StreamHandlers) => () => void;

/**
 * A server-sent event stream over `fetch`.
 *
 * Not `EventSource`: that hides the status (a refused ticket looks like a server that is away),
 * hides comments (pings), and cannot send `Last-Event-ID` when a new ticket means a new URL.
 */
export const openFetchStream: OpenStream = (url, lastEventId, handlers) => {
  const abort = new AbortController();
  void run(url, lastEventId, handlers, abort.signal);
  return () => abort.abort();
};

async function run(
  url: string,
  lastEventId: string,
  handlers: StreamHandlers,
  signal: AbortSignal,
): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  const target = new URL(url, document.baseURI);
  // A rejection here and below means network or server are away: the caller tries again.
  const answer = await fetch(target, { headers, signal, cache: "no-store" }).catch(() => null);
  if (signal.aborted) return;
  if (answer && isEventStream(answer)) await read(answer.body, lastEventId, handlers, signal);
  else void answer?.body?.cancel();
  const refused = answer?.status === 401 || answer?.status === 403;
  if (!signal.aborted) handlers.onEnd(refused ? "refused" : "lost");
}

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

function isEventStream(answer: Response): answer is Response & { body: Bytes } {
  const kind = answer.headers.get("Content-Type") ?? "";
  return answer.ok && kind.startsWith("text/event-stream") && answer.body !== null;
}

async function read(
  body: Bytes,
  lastEventId: string,
  handlers: StreamHandlers,
  signal: AbortSignal,
): Promise<void> {
  handlers.onOpen();
  const parser = new SseParser(lastEventId);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const piece = await reader.read().catch(() => null);
    if (!piece || piece.done || signal.aborted) return;
    handlers.onSign();
    for (const event of parser.push(piece.value)) {
      if (signal.aborted) return;
      handlers.onEvent(event);
    }
  }
}
