import { RoomAudioRenderer, RoomContext } from "@livekit/components-react";
import { type ReactElement, useEffect, useState, useSyncExternalStore } from "react";
import { plain } from "../lib/format";
import { Notice } from "../talk/Notice";
import { Ear, type EarView, type Ticket } from "./ear";

export interface ListenData {
  readonly ticket: Ticket | null;
  /** Others who listen now, by name. */
  readonly others: readonly string[];
}

/** Hear a room without being heard: off until asked, silent until unmuted. */
export function Listen({
  data,
  onAsk,
  onPerson,
}: {
  readonly data: ListenData;
  readonly onAsk: () => void;
  /** The reader wants to be seen and to speak: the page asks first. */
  readonly onPerson: () => void;
}): ReactElement {
  const [ear] = useState(() => new Ear());
  const view = useSyncExternalStore(ear.subscribe, ear.read);
  const name = data.ticket?.name;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a ticket is used once, by its name
  useEffect(() => {
    if (data.ticket !== null) void ear.take(data.ticket);
  }, [ear, name]);
  useEffect(() => () => void ear.stop(), [ear]);
  return (
    <RoomContext.Provider value={ear.room}>
      <section className="talk listen" aria-label="Listen in">
        <div className="talk-row">
          {view.phase === "off" && (
            <button type="button" className="talk-button" onClick={onAsk}>
              Listen in
            </button>
          )}
          {view.phase === "joining" && (
            <span role="status">{view.person ? "Joining…" : "Joining hidden…"}</span>
          )}
          {view.phase === "on" && (
            <>
              <RoomAudioRenderer />
              <button
                type="button"
                className="talk-button"
                aria-pressed={view.person ? view.silent : !view.muted}
                onClick={() => (view.person ? ear.silence(!view.silent) : ear.mute(!view.muted))}
              >
                {view.person
                  ? view.silent
                    ? "Unmute microphone"
                    : "Mute microphone"
                  : view.muted
                    ? "Unmute audio"
                    : "Mute audio"}
              </button>
              <button type="button" className="talk-button" onClick={() => void ear.stop()}>
                {view.person ? "Leave room" : "Stop listening"}
              </button>
            </>
          )}
          {view.phase !== "joining" && !view.person && (
            <button type="button" className="talk-button" onClick={onPerson}>
              Join as participant…
            </button>
          )}
          <span className="talk-hint">{view.said || hint(view)}</span>
        </div>
        {view.phase === "on" && (
          <ul className="listen-who" aria-label="Participants">
            {view.heard.map((one) => (
              <li key={one.identity} data-speaking={one.speaking}>
                <span className="listen-dot" aria-hidden="true" />
                {plain(one.identity)}{" "}
                <span className="talk-hint">{one.agent ? "agent" : "participant"}</span>
                {one.speaking && <span className="talk-hint"> speaking</span>}
              </li>
            ))}
          </ul>
        )}
        {data.others.length > 0 && (
          <p className="talk-hint">Also listening: {data.others.map(plain).join(", ")}</p>
        )}
        {view.problem !== null && <Notice problem={view.problem} onWay={onAsk} />}
      </section>
    </RoomContext.Provider>
  );
}

function hint(view: EarView): string {
  if (view.phase !== "on") return "Participants won't see or hear you. Listening is logged.";
  if (view.person)
    return view.silent
      ? "Participants see you. Your microphone is muted."
      : "Participants see and hear you. Your microphone is on.";
  return view.muted
    ? "Audio is muted. Unmute to listen. Participants can't see or hear you."
    : "Participants can't see or hear you.";
}
