import {
  type ReactElement,
  useDeferredValue,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { clock, offset, took } from "../../lib/format";
import { until } from "../model/at";
import type { Line, Pin, SessionModel, Turn, ViewProps } from "../model/types";

const NEAR_PX = 60;
const LINE_CHARS = 20_000;
const WHO: Record<Line["role"], string> = {
  caller: "Caller",
  agent: "Agent",
  operator: "Operator",
  note: "Note",
};

/** What was said, in turns; it follows what is said now unless the reader looks back. */
export function Transcript({ model, moment, onMoment }: ViewProps): ReactElement {
  const [query, search] = useState("");
  const wanted = useDeferredValue(query.trim().toLowerCase());
  const box = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const lines = useMemo(() => ordered(model, wanted), [model, wanted]);
  const limit = until(moment);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what it follows
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    if (moment === null) {
      if (following.current) element.scrollTop = element.scrollHeight;
      return;
    }
    const past = [...element.querySelectorAll<HTMLElement>("[data-at]")];
    const last = past.filter((one) => Number(one.dataset.at) <= moment).at(-1);
    last?.scrollIntoView({ block: "nearest" });
  }, [lines, moment]);
  return (
    <div className="tr">
      <input
        className="sb-input"
        type="search"
        aria-label="Search transcript"
        placeholder="Search transcript"
        value={query}
        onChange={(event) => search(event.target.value)}
      />
      <div
        ref={box}
        className="tr-lines"
        role="log"
        aria-label="Transcript"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keys
        tabIndex={0}
        onScroll={({ currentTarget: it }) => {
          following.current = it.scrollHeight - it.scrollTop - it.clientHeight < NEAR_PX;
        }}
      >
        {lines.length === 0 && (
          <p className="sb-empty">{wanted ? "No matches." : "No transcript yet."}</p>
        )}
        {lines.map((line) =>
          "pin" in line ? (
            <Note key={line.pin.id} pin={line.pin} model={model} onMoment={onMoment} />
          ) : (
            <Said
              key={line.id}
              line={line}
              wanted={wanted}
              model={model}
              dimmed={line.at > limit}
              onMoment={onMoment}
            />
          ),
        )}
      </div>
    </div>
  );
}

type Entry = Line | { readonly pin: Pin; readonly at: number };

function ordered(model: SessionModel, wanted: string): Entry[] {
  const found = model.lines.filter((line) => line.text.toLowerCase().includes(wanted));
  const pins = model.pins.filter((pin) => pin.text.toLowerCase().includes(wanted));
  const entries: Entry[] = [...found, ...pins.map((pin) => ({ pin, at: pin.at }))];
  return entries.sort((a, b) => a.at - b.at);
}

function Said({
  line,
  wanted,
  model,
  dimmed,
  onMoment,
}: {
  readonly line: Line;
  readonly wanted: string;
  readonly model: SessionModel;
  readonly dimmed: boolean;
  readonly onMoment: ViewProps["onMoment"];
}): ReactElement {
  const turn = line.turn === null ? undefined : model.turns[line.turn];
  const answer = line.role === "agent" ? turn?.answer : null;
  return (
    <div
      className="tr-line"
      data-role={line.role}
      data-interim={line.interim}
      data-dimmed={dimmed}
      data-at={line.at}
    >
      <div className="tr-head">
        <strong>{WHO[line.role]}</strong>
        <button
          type="button"
          className="sb-link"
          title={clock(line.at)}
          onClick={() => onMoment(line.at)}
        >
          {offset(line.at - model.from)}
        </button>
        {answer?.totalMs != null && <span title={partsOf(turn)}>{took(answer.totalMs)}</span>}
        {line.interrupted && <span className="tr-cut">interrupted</span>}
        {line.interim && <span>interim</span>}
      </div>
      <p dir="auto">
        <Marked text={line.text.slice(0, LINE_CHARS)} wanted={wanted} />
        {line.text.length > LINE_CHARS && " …"}
      </p>
      {line.role === "agent" && turn !== undefined && <Folded turn={turn} model={model} />}
    </div>
  );
}

/** The way through the graph and the tools of the turn, folded in. */
function Folded({
  turn,
  model,
}: {
  readonly turn: Turn;
  readonly model: SessionModel;
}): ReactElement | null {
  const calls = model.calls.filter((call) => call.turn === turn.index);
  if (turn.path.length === 0 && calls.length === 0) return null;
  return (
    <details className="tr-more">
      <summary>{turn.path.join(" → ") || "Calls"}</summary>
      <ul>
        {calls.map((call) => (
          <li key={call.id}>
            <code>{call.name}</code> {call.to !== null && took(call.to - call.from)}
            {call.error && <span className="sb-error"> {call.error}</span>}
            {call.args !== null && <pre>{JSON.stringify(call.args, null, 1)?.slice(0, 2_000)}</pre>}
          </li>
        ))}
      </ul>
    </details>
  );
}

function partsOf(turn: Turn | undefined): string {
  const parts = turn?.answer?.parts ?? [];
  return parts.map(({ part, ms }) => `${part.replaceAll("_", " ")} ${took(ms)}`).join(", ");
}

function Note({
  pin,
  model,
  onMoment,
}: {
  readonly pin: Pin;
  readonly model: SessionModel;
  readonly onMoment: ViewProps["onMoment"];
}): ReactElement {
  return (
    <div className="tr-line" data-role="note" data-at={pin.at}>
      <div className="tr-head">
        <strong>Note</strong>
        <button type="button" className="sb-link" onClick={() => onMoment(pin.at)}>
          {offset(pin.at - model.from)}
        </button>
        {pin.author && <span>{pin.author}</span>}
        {pin.tags.map((tag) => (
          <span key={tag} className="tr-tag">
            {tag}
          </span>
        ))}
      </div>
      <p dir="auto">{pin.text}</p>
    </div>
  );
}

function Marked({
  text,
  wanted,
}: {
  readonly text: string;
  readonly wanted: string;
}): ReactElement {
  if (wanted === "") return <>{text}</>;
  const parts: ReactElement[] = [];
  const low = text.toLowerCase();
  let from = 0;
  for (
    let at = low.indexOf(wanted);
    at >= 0 && parts.length < 200;
    at = low.indexOf(wanted, from)
  ) {
    parts.push(<span key={`t${at}`}>{text.slice(from, at)}</span>);
    parts.push(<mark key={`m${at}`}>{text.slice(at, at + wanted.length)}</mark>);
    from = at + wanted.length;
  }
  return (
    <>
      {parts}
      {text.slice(from)}
    </>
  );
}
