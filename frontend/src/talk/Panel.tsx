import { RoomContext } from "@livekit/components-react";
import { type ReactElement, useEffect, useState, useSyncExternalStore } from "react";
import { plain } from "../lib/format";
import type { Call } from "./call";
import { InCall, Times } from "./InCall";
import { Notice } from "./Notice";
import { carryPass, type Wanted } from "./sessions";
import { type CallView, isOpen, type Mode, type Phase, store } from "./store";
import { Transcript } from "./Transcript";

export interface PanelData {
  /** Who is to be called, and how; null where nothing can be called. */
  readonly wanted: Wanted | null;
  /** What the browser proves itself by to the API; null: its cookie, or a proxy, does that. */
  readonly pass: string | null;
}

export interface PanelProps {
  readonly data: PanelData;
  readonly call: Call;
  /** The session that is open or was the last; "" before the first. */
  readonly onSession: (session: { id: string; phase: Phase }) => void;
}

/** One click to talk, the call, and what came of it. */
export function Panel({ data, call, onSession }: PanelProps): ReactElement {
  const view = useSyncExternalStore(store.subscribe, store.read);
  useReport(view, onSession);
  useEffect(() => carryPass(data.pass), [data.pass]);
  const start = (mode?: Mode): void => {
    if (data.wanted !== null) void call.start(mode ? { ...data.wanted, mode } : data.wanted);
  };
  const open = isOpen(view);
  return (
    <RoomContext.Provider value={call.room}>
      <section className="talk" aria-label="Call">
        {open ? (
          <InCall view={view} call={call} />
        ) : (
          <Ready view={view} wanted={data.wanted} onStart={() => start()} />
        )}
        {view.elsewhere && <p className="talk-note">You are also in a call in another tab.</p>}
        {view.problem !== null && (
          <Notice
            problem={view.problem}
            onWay={(way) => {
              if (way === "again") start();
              else if (way === "write") start("text");
              else if (way === "back") void call.back();
              else if (way === "sound") void call.sound();
              else void call.end();
            }}
          />
        )}
        {(open || view.lines.length > 0) && (
          <Transcript view={view} onWrite={open ? (text) => call.write(text) : null} />
        )}
      </section>
    </RoomContext.Provider>
  );
}

function Ready({
  view,
  wanted,
  onStart,
}: {
  readonly view: CallView;
  readonly wanted: Wanted | null;
  readonly onStart: () => void;
}): ReactElement {
  const over = view.phase === "ended";
  const verb = wanted?.mode === "text" ? "Chat with" : "Talk to";
  return (
    <div className="talk-ready">
      <button
        type="button"
        className="talk-start"
        disabled={wanted === null}
        onClick={() => onStart()}
      >
        {wanted?.mode === "text" ? <Pen /> : <Microphone />}
        {verb} {plain(wanted?.agent ?? "an agent")}
        {over && " again"}
      </button>
      <p className="talk-hint">
        {over
          ? "The call has ended and its room is closed."
          : "Creates a room, starts the agent and joins you."}
      </p>
      {over && <Times marks={view.marks} />}
    </div>
  );
}

/** Tells the page which session this is, once for each change. */
function useReport(view: CallView, onSession: PanelProps["onSession"]): void {
  const id = view.session?.id ?? "";
  const settled = ["talking", "ended", "failed"].includes(view.phase);
  const [told, setTold] = useState("");
  useEffect(() => {
    const now = `${id} ${view.phase}`;
    if (id === "" || !settled || now === told) return;
    setTold(now);
    onSession({ id, phase: view.phase });
  }, [id, view.phase, settled, told, onSession]);
}

export function Microphone(): ReactElement {
  return (
    <svg className="talk-icon" viewBox="0 0 16 16" aria-hidden="true">
      <rect x="5.5" y="1.5" width="5" height="8" rx="2.5" />
      <path d="M3 7.5a5 5 0 0 0 10 0M8 12.5v2" />
    </svg>
  );
}

function Pen(): ReactElement {
  return (
    <svg className="talk-icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M2.5 13.5 3 10.5 11 2.5l2.5 2.5-8 8Z" />
    </svg>
  );
}
