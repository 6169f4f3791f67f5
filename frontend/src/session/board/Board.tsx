import {
  type ReactElement,
  useEffect,
  useEffectEvent,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { clock, countText, offset, plain } from "../../lib/format";
import { SessionSource } from "../data/source";
import { GraphView } from "../graph/GraphView";
import { stateIndexAt, until } from "../model/at";
import type { Ask, Moment } from "../model/types";
import { StateView } from "../state/StateView";
import { Answers } from "../timeline/Answers";
import { Timeline } from "../timeline/Timeline";
import { Transcript } from "../transcript/Transcript";
import { SPEEDS, useCursor } from "./useCursor";

const OBSERVED = {
  session:
    "No recorder is connected. While this page is open, a hidden observer records transcript, agent state, latency and tool calls. Graph data is unavailable.",
  text: "No recorder is connected, and the agent's session is not accessible. While this page is open, a hidden observer records transcript and agent state. Latency, tool calls and graph data are unavailable.",
} as const;

export interface BoardData {
  readonly ticket: string;
  /** `api/voice/session/<id>/` */
  readonly sessionUrl: string;
  /** The moment that the page's address names, in milliseconds; null: live. */
  readonly moment: number | null;
  /** Graph and state alone, beside a call. */
  readonly small: boolean;
}

export interface BoardProps {
  readonly data: BoardData;
  readonly onMoment: (moment: Moment) => void;
  /** The reader wants to write a note about that moment. */
  readonly onNote: (moment: number) => void;
  readonly onRefused: () => void;
}

/** A session from the inside: graph, state, transcript and timeline on one clock. */
export function Board({ data, onMoment, onNote, onRefused }: BoardProps): ReactElement {
  const [source] = useState(() => new SessionSource(data.sessionUrl, data.ticket));
  const view = useSyncExternalStore(source.subscribe, source.look);
  const refused = useEffectEvent(onRefused);
  useEffect(() => {
    source.start(() => refused());
    return () => source.close();
  }, [source]);
  useEffect(() => source.use(data.ticket), [source, data.ticket]);

  const { model } = view;
  const cursor = useCursor(model, data.moment);
  const tell = useEffectEvent(onMoment);
  const { moment, speed } = cursor;
  const told = useRef<Moment>(data.moment);
  useEffect(() => {
    if (speed > 0 || moment === told.current) return;
    const timer = setTimeout(() => {
      told.current = moment;
      tell(moment);
    }, 400);
    return () => clearTimeout(timer);
  }, [moment, speed]);
  const now = (): number => Date.now() + view.skew;
  const noteAt = (): void => onNote(moment ?? (model.open ? now() : model.to));

  const asks = model.asks.filter(
    (ask) => ask.from <= until(moment) && (ask.to === null || ask.to > until(moment)),
  );
  const props = { model, moment, onMoment: cursor.go };
  const keys = (event: React.KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    if (target.closest("input, textarea, select") || event.ctrlKey || event.metaKey) return;
    const index = stateIndexAt(model, moment);
    if (event.key === " " && !target.closest("button, [role=treeitem], summary"))
      cursor.play(speed > 0 ? 0 : 1);
    else if (event.key === "l") cursor.go(null);
    else if (event.key === "n") noteAt();
    else if (event.key === "[") cursor.go(model.states[index - 1]?.at ?? moment);
    else if (event.key === "]") cursor.go(model.states[index + 1]?.at ?? null);
    else return;
    event.preventDefault();
  };
  const status = useMemo(() => statusOf(view.status.kind), [view.status.kind]);

  if (view.loading && model.version === 0)
    return <div className="sb sb-empty">Loading session…</div>;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys work wherever the reader is in it
    <div className="sb" onKeyDown={keys} data-small={data.small} data-recorded={model.recorded}>
      {/* The page kept room until now (session_view.py); from here on it is as tall as it is. */}
      <style>{":host { min-block-size: 0 }"}</style>
      <header className="sb-bar">
        <span className="sb-live" data-live={moment === null && model.open}>
          {moment === null ? (model.open ? "Live" : "Ended") : offset(moment - model.from)}
        </span>
        {moment !== null && <span className="sb-hint">{clock(moment)}</span>}
        {model.open && model.agentState && moment === null && (
          <span className="sb-hint">agent {plain(model.agentState)}</span>
        )}
        {asks.length > 0 && <strong className="sb-ask">Waiting for human: {nodesOf(asks)}</strong>}
        {model.gaps > 0 && (
          <span className="sb-error">{countText(model.gaps, "event")} missing</span>
        )}
        {status && <span className="sb-error">{status}</span>}
        {view.error && <span className="sb-error">{view.error} Retrying…</span>}
        <span className="sb-space" />
        {!data.small && (
          <>
            <button type="button" className="sb-button" onClick={noteAt}>
              Add note <kbd>N</kbd>
            </button>
            {SPEEDS.map((one) => (
              <button
                key={one}
                type="button"
                className="sb-button"
                aria-pressed={speed === one}
                aria-label={`Replay at ${one}× speed`}
                onClick={() => cursor.play(speed === one ? 0 : one)}
              >
                {speed === one ? "❚❚" : "▶"} {one}×
              </button>
            ))}
            <input
              type="range"
              className="sb-range"
              aria-label="Position"
              aria-valuetext={moment === null ? "live" : offset(moment - model.from)}
              min={0}
              max={Math.max(1, Math.round(model.to - model.from))}
              value={Math.round((moment ?? model.to) - model.from)}
              onChange={(event) => cursor.go(model.from + Number(event.target.value))}
            />
          </>
        )}
        <button
          type="button"
          className="sb-button"
          disabled={moment === null}
          onClick={() => cursor.go(null)}
        >
          {model.open ? "Live" : "End"} <kbd>L</kbd>
        </button>
      </header>
      {!model.recorded && model.observed !== "" && (
        <p className="sb-note">{OBSERVED[model.observed]}</p>
      )}
      <div className="sb-panels">
        <section className="sb-panel sb-graph" aria-label="Graph">
          <GraphView {...props} />
        </section>
        <section className="sb-panel sb-state" aria-label="State">
          <StateView {...props} values={source.values} />
        </section>
        {!data.small && (
          <>
            <section className="sb-panel sb-words" aria-label="Transcript">
              <Transcript {...props} />
            </section>
            <section className="sb-panel sb-time" aria-label="Timeline">
              <Timeline {...props} now={now} />
              <Answers {...props} />
            </section>
          </>
        )}
      </div>
    </div>
  );
}

/** "approve, confirm": the nodes whose interrupts are pending. */
function nodesOf(asks: readonly Ask[]): string {
  return [...new Set(asks.map((ask) => plain(ask.node) || "graph"))].join(", ");
}

function statusOf(kind: string): string {
  switch (kind) {
    case "retrying":
      return "Reconnecting to live updates…";
    case "refused":
      return "Renewing access to live updates…";
    default:
      return "";
  }
}
