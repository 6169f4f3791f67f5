import { type ReactElement, useEffect, useEffectEvent, useRef, useState } from "react";
import { type Found, probe, type Ticket } from "./probe";

export interface ProbeData {
  readonly ticket: Ticket | null;
}

/** The button that checks this browser. The page draws what was found. */
export function Probe({
  data,
  onAsk,
  onFound,
}: {
  readonly data: ProbeData;
  readonly onAsk: () => void;
  readonly onFound: (found: Found) => void;
}): ReactElement {
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const taken = useRef("");
  const found = useEffectEvent(onFound);
  const { ticket } = data;
  useEffect(() => {
    if (ticket === null || ticket.name === taken.current) return;
    taken.current = ticket.name;
    setBusy(true);
    void probe(ticket)
      .then(found)
      .finally(() => {
        setBusy(false);
        setDone(true);
      });
  }, [ticket]);
  return (
    <div className="talk">
      <div className="talk-row">
        <button type="button" className="talk-button" disabled={busy} onClick={onAsk}>
          {done ? "Check browser again" : "Check browser"}
        </button>
        <span className="talk-hint" role="status">
          {busy ? "Joining a test room…" : "Takes about a second."}
        </span>
      </div>
    </div>
  );
}
