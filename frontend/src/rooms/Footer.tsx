import { useSyncExternalStore } from "react";
import { countText, duration, number, plain } from "../lib/format";
import type { ServerClock } from "./clock";
import type { Condition } from "./condition";
import { type Waiting, waitingText } from "./order";

interface FooterProps {
  readonly total: number;
  readonly shown: number;
  readonly filtered: boolean;
  readonly selected: number;
  readonly selectedHidden: number;
  readonly waiting: Waiting | null;
  readonly condition: Condition;
  readonly clock: ServerClock;
  readonly onClear: () => void;
  readonly onShowWaiting: () => void;
  readonly onRetry: () => void;
}

export function Footer(props: FooterProps) {
  const { total, shown, filtered, selected, selectedHidden, waiting } = props;
  return (
    <div className="footer">
      <span>
        {filtered ? `${number(shown)} of ${countText(total, "room")}` : countText(shown, "room")}
      </span>
      {selected > 0 && (
        <span className="selected">
          {number(selected)} selected
          {selectedHidden > 0 && ` (${number(selectedHidden)} hidden by filters)`}
          <button type="button" className="plain" onClick={props.onClear}>
            Clear selection
          </button>
        </span>
      )}
      <span className="gap" />
      {waiting && (
        <button
          type="button"
          className="waiting"
          title="Live updates paused while hovering"
          onClick={props.onShowWaiting}
        >
          {waitingText(waiting)} · Show
        </button>
      )}
      <LiveState condition={props.condition} clock={props.clock} onRetry={props.onRetry} />
    </div>
  );
}

type LiveStateProps = Pick<FooterProps, "condition" | "clock" | "onRetry">;

function LiveState({ condition, clock, onRetry }: LiveStateProps) {
  if (condition.kind === "loading") return <span className="state-line">Connecting…</span>;
  if (condition.kind === "live") {
    return (
      <span className="state-line" data-state="live">
        <i className="dot" />
        Live
      </span>
    );
  }
  const disconnected = condition.kind === "disconnected";
  const { since } = condition;
  return (
    <span
      className="state-line"
      data-state="lost"
      title={disconnected ? undefined : plain(condition.hint)}
    >
      <i className="dot" />
      {disconnected ? "Reconnecting…" : plain(condition.error)}
      {since !== null && (
        <AsOf since={disconnected ? clock.fromLocal(since) : since} clock={clock} />
      )}
      {disconnected && (
        <button type="button" className="plain" onClick={onRetry}>
          Retry now
        </button>
      )}
    </span>
  );
}

function AsOf({ since, clock }: { readonly since: number; readonly clock: ServerClock }) {
  const now = useSyncExternalStore(clock.subscribe, clock.seconds);
  return <span>Updated {duration(now - Math.floor(since / 1000))} ago</span>;
}
