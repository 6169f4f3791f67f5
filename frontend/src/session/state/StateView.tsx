import { type ReactElement, useEffect, useMemo, useState } from "react";
import { countText, offset } from "../../lib/format";
import type { Json } from "../../lib/json";
import { stateIndexAt } from "../model/at";
import type { SavedState, StateValues, ViewProps } from "../model/types";
import { type Change, changes, type Opened, openedFor, type Row, rowsOf, search } from "./rows";

const TEXT = 400;
const STEPS = 400;
const TABS = ["State", "Changes", "Steps"] as const;
type Tab = (typeof TABS)[number];

export type StateProps = ViewProps & { readonly values: StateValues };

/** The graph's state at the moment that is looked at, what its last step changed, every step. */
export function StateView(props: StateProps): ReactElement {
  const { model, moment, onMoment, values } = props;
  const [tab, show] = useState<Tab>("State");
  const index = stateIndexAt(model, moment);
  const state = model.states[index];
  const before = model.states[index - 1];
  if (state === undefined)
    return (
      <p className="sb-empty">
        {model.recorded ? "No state recorded." : "State unavailable: no recorder."}
      </p>
    );
  return (
    <div className="sv">
      <div className="sb-tabs" role="tablist" aria-label="State">
        {TABS.map((one) => (
          <button
            key={one}
            type="button"
            role="tab"
            aria-selected={one === tab}
            onClick={() => show(one)}
          >
            {one}
          </button>
        ))}
        <span className="sb-space" />
        <button
          type="button"
          className="sb-icon"
          aria-label="Previous step"
          disabled={before === undefined}
          onClick={() => before && onMoment(before.at)}
        >
          ‹
        </button>
        <span className="sb-hint">{called(state, model.states.at(-1))}</span>
        <button
          type="button"
          className="sb-icon"
          aria-label="Next step"
          disabled={index + 1 >= model.states.length}
          onClick={() => onMoment(model.states[index + 1]?.at ?? null)}
        >
          ›
        </button>
      </div>
      <div className="sv-body" role="tabpanel" aria-label={tab}>
        {tab === "State" && <Whole state={state} values={values} />}
        {tab === "Changes" && <Changes state={state} before={before} values={values} />}
        {tab === "Steps" && <Steps {...props} chosen={index} />}
      </div>
    </div>
  );
}

/** "Step 3 of 15": LangGraph's own count of super-steps. */
function called(state: SavedState, last: SavedState | undefined): string {
  if (state.step === null) return "State";
  return last?.step == null ? `Step ${state.step}` : `Step ${state.step} of ${last.step}`;
}

type Loaded = { readonly value: Json } | { readonly error: string } | null;

/** The values of a state; null while they are on their way. What was there stays until then. */
function useValues(state: SavedState | undefined, values: StateValues): [Loaded, () => void] {
  const id = state?.id;
  const at_hand = id === undefined ? null : values.peek(id);
  const [loaded, set] = useState<{ id: string; result: Loaded }>({ id: "", result: null });
  const [tries, again] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another try is another load
  useEffect(() => {
    if (id === undefined || at_hand !== undefined) return;
    let wanted = true;
    values.load(id).then(
      (value) => wanted && set({ id, result: { value } }),
      (error: Error) => wanted && set({ id, result: { error: error.message } }),
    );
    return () => {
      wanted = false;
    };
  }, [id, at_hand, values, tries]);
  if (at_hand !== undefined && at_hand !== null) return [{ value: at_hand }, () => undefined];
  return [loaded.id === id ? loaded.result : null, () => again((count) => count + 1)];
}

function Whole({
  state,
  values,
}: {
  readonly state: SavedState;
  readonly values: StateValues;
}): ReactElement {
  const [loaded, again] = useValues(state, values);
  const [query, look] = useState("");
  const [opened, open] = useState<Opened>(new Map([["$", 1]]));
  const value = loaded !== null && "value" in loaded ? loaded.value : null;
  const wanted = query.trim();
  const found = useMemo(() => (wanted ? search(value, wanted) : []), [value, wanted]);
  const shown = useMemo(
    () => rowsOf(value, wanted ? openedFor(found, value) : opened).slice(1),
    [value, opened, wanted, found],
  );
  const hits = useMemo(() => new Set(found), [found]);
  if (loaded === null) return <p className="sb-empty">Loading state…</p>;
  if ("error" in loaded)
    return (
      <p className="sb-empty" role="alert">
        {loaded.error}{" "}
        <button type="button" className="sb-button" onClick={again}>
          Try again
        </button>
      </p>
    );
  if (value === null) return <p className="sb-empty">State truncated by the recorder.</p>;
  const toggle = (path: string, more = false): void => {
    const next = new Map(opened);
    const pages = next.get(path) ?? 0;
    if (more) next.set(path, pages + 1);
    else if (pages > 0) next.delete(path);
    else next.set(path, 1);
    open(next);
  };
  return (
    <>
      <div className="sb-row">
        <input
          className="sb-input"
          type="search"
          aria-label="Search state"
          placeholder="Search state"
          value={query}
          onChange={(event) => look(event.target.value)}
        />
        {wanted && <span className="sb-hint">{countText(found.length, "match", "matches")}</span>}
        <Copy value={value} />
      </div>
      <div className="sv-tree" role="tree" aria-label="State">
        {shown.map((row) => (
          <TreeRow
            key={`${row.path}${row.kind}`}
            row={row}
            open={(opened.get(row.path) ?? 0) > 0 || wanted !== ""}
            hit={hits.has(row.path)}
            onToggle={toggle}
          />
        ))}
      </div>
    </>
  );
}

function TreeRow({
  row,
  open,
  hit,
  onToggle,
}: {
  readonly row: Row;
  readonly open: boolean;
  readonly hit: boolean;
  readonly onToggle: (path: string, more?: boolean) => void;
}): ReactElement {
  const inset = { paddingInlineStart: `${row.depth * 14 - 10}px` };
  if (row.kind === "more")
    return (
      <div style={inset}>
        <button type="button" className="sb-link" onClick={() => onToggle(row.path, true)}>
          Show {row.count.toLocaleString("en-US")} more
        </button>
      </div>
    );
  const folds = row.kind !== "value" && row.count > 0;
  const keys = (event: React.KeyboardEvent): void => {
    const item = event.currentTarget as HTMLElement;
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" } as const;
    if (event.key === "ArrowDown" || event.key === "ArrowUp")
      (item[step[event.key]] as HTMLElement | null)?.focus();
    else if (
      folds &&
      (event.key === "Enter" ||
        event.key === " " ||
        (event.key === "ArrowRight" && !open) ||
        (event.key === "ArrowLeft" && open))
    )
      onToggle(row.path);
    else return;
    event.preventDefault();
  };
  return (
    <div
      className="sv-row"
      role="treeitem"
      aria-level={row.depth}
      aria-selected={false}
      {...(folds ? { "aria-expanded": open } : {})}
      tabIndex={0}
      data-hit={hit}
      style={inset}
      onKeyDown={keys}
      onClick={() => folds && onToggle(row.path)}
    >
      <span className="sv-fold" aria-hidden="true">
        {folds ? (open ? "▾" : "▸") : ""}
      </span>
      <span className="sv-key">{row.name}</span>
      <Value row={row} open={open} />
    </div>
  );
}

function Value({ row, open }: { readonly row: Row; readonly open: boolean }): ReactElement | null {
  const [whole, all] = useState(false);
  const { value } = row;
  if (row.kind !== "value") {
    if (open && row.count > 0) return null;
    const brief = row.kind === "list" ? `[${row.count}]` : `{${row.count}}`;
    return (
      <span className="sv-brief">
        {brief} <span dir="auto">{gist(value)}</span>
      </span>
    );
  }
  if (typeof value !== "string") return <span className="sv-plain">{String(value)}</span>;
  const cut = value.length > TEXT && !whole;
  return (
    <span className="sv-text" dir="auto">
      {cut ? value.slice(0, TEXT) : value.slice(0, 200_000)}
      {value.length > TEXT && (
        <button
          type="button"
          className="sb-link"
          onClick={(event) => {
            event.stopPropagation();
            all(!whole);
          }}
        >
          {cut ? ` … show all ${value.length.toLocaleString("en-US")} characters` : " show less"}
        </button>
      )}
    </span>
  );
}

/** A message of LangGraph in one line: who said what. */
function gist(value: Json): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "";
  const { type, content, title, name } = value as Record<string, Json>;
  const said = typeof content === "string" ? content : typeof title === "string" ? title : name;
  if (typeof said !== "string") return "";
  return `${typeof type === "string" ? `${type}: ` : ""}${said}`.slice(0, 90);
}

function Copy({ value }: { readonly value: Json }): ReactElement {
  const [done, set] = useState(false);
  return (
    <button
      type="button"
      className="sb-button"
      onClick={() => {
        void navigator.clipboard.writeText(JSON.stringify(value, null, 2)).then(() => set(true));
      }}
    >
      {done ? "Copied" : "Copy state"}
    </button>
  );
}

function Changes({
  state,
  before,
  values,
}: {
  readonly state: SavedState;
  readonly before: SavedState | undefined;
  readonly values: StateValues;
}): ReactElement {
  const [now] = useValues(state, values);
  const [old] = useValues(before, values);
  const found = useMemo(() => {
    if (now === null || !("value" in now)) return null;
    if (before !== undefined && (old === null || !("value" in old))) return null;
    return changes(old !== null && "value" in old ? old.value : {}, now.value);
  }, [now, old, before]);
  if (found === null) return <p className="sb-empty">Comparing…</p>;
  if (found.length === 0) return <p className="sb-empty">No changes in this step.</p>;
  return (
    <ul className="sv-changes" aria-label="Changes in this step">
      {found.map((change) => (
        <ChangeRow key={`${change.kind}${change.path}`} change={change} />
      ))}
    </ul>
  );
}

const SIGN = { added: "+", removed: "−", changed: "±" } as const;

function ChangeRow({ change }: { readonly change: Change }): ReactElement {
  return (
    <li data-kind={change.kind}>
      <span className="sv-sign" role="img" aria-label={change.kind}>
        {SIGN[change.kind]}
      </span>
      <code>{change.path}</code>
      {change.kind !== "added" && <del dir="auto">{brief(change.before)}</del>}
      {change.kind !== "removed" && <ins dir="auto">{brief(change.after)}</ins>}
    </li>
  );
}

function brief(value: Json): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value, null, 1) ?? "");
  return text.length > TEXT ? `${text.slice(0, TEXT)} …` : text;
}

function Steps({
  model,
  onMoment,
  chosen,
}: StateProps & { readonly chosen: number }): ReactElement {
  const from = Math.max(0, Math.min(chosen - STEPS / 2, model.states.length - STEPS));
  const shown = model.states.slice(from, from + STEPS);
  return (
    <ol className="sv-steps" aria-label="Steps">
      {shown.map((state, index) => (
        <li key={state.id} data-chosen={from + index === chosen}>
          <button
            type="button"
            aria-current={from + index === chosen ? "step" : undefined}
            onClick={() => onMoment(state.at)}
          >
            <span>{state.step ?? "–"}</span>
            <span>{offset(state.at - model.from)}</span>
            <span>{state.changed.join(", ") || "no changes"}</span>
            <span className="sb-hint">
              {state.next.length > 0 ? `next: ${state.next.join(", ")}` : "end"}
            </span>
          </button>
        </li>
      ))}
    </ol>
  );
}
