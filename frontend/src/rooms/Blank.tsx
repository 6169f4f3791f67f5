import type { ReactNode } from "react";
import { plain } from "../lib/format";
import type { Condition } from "./condition";
import { HEALTH_WORDS } from "./health";
import { ROW_PX } from "./useWindow";
import type { View } from "./view";

interface BlankProps {
  readonly condition: Condition;
  readonly view: View;
  /** Rooms there are, before search and filter. */
  readonly total: number;
  readonly onRetry: () => void;
  readonly onReset: () => void;
}

/** What stands in the place of the rows when there are none, and why. */
export function Blank({ condition, view, total, onRetry, onReset }: BlankProps) {
  if (total > 0) {
    return (
      <Message title={noMatch(view)}>
        <button type="button" className="outlined" onClick={onReset}>
          Clear filters
        </button>
      </Message>
    );
  }
  switch (condition.kind) {
    case "loading":
      return <Loading />;
    case "live":
      return (
        <Message title="No open rooms.">
          <span>Rooms appear here as soon as they open.</span>
        </Message>
      );
    case "source-lost":
      return (
        <Message title={plain(condition.error)}>
          <span>{plain(condition.hint)}</span>
          <span>Rooms appear here as soon as LiveKit is available.</span>
        </Message>
      );
    case "disconnected":
      return (
        <Message title="Rooms are unavailable.">
          <span>
            No connection to Switchboard. Reconnecting… If this persists, check that the dashboard
            is running.
          </span>
          <button type="button" className="outlined" onClick={onRetry}>
            Retry now
          </button>
        </Message>
      );
  }
}

function Message({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <div className="blank">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** The shape of rows, so that nothing jumps when they come. */
function Loading() {
  return (
    <div aria-hidden="true">
      {[25, 19, 28, 22, 26, 20].map((width) => (
        <div key={width} className="bone-row" style={{ height: ROW_PX }}>
          <span className="bone" style={{ width: `${width}%` }} />
          <span className="bone" style={{ width: `${width / 2}%` }} />
          <span className="bone" style={{ width: "8%" }} />
        </div>
      ))}
    </div>
  );
}

function noMatch({ q, health }: View): string {
  const matches = q.trim() === "" ? "" : `matches “${plain(q.trim())}”`;
  const words = health.map((name) => `“${HEALTH_WORDS[name]}”`).join(" or ");
  const stands = words === "" ? "" : `has health ${words}`;
  return `No room ${[matches, stands].filter(Boolean).join(" and ")}.`;
}
