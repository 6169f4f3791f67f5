import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { countText } from "../lib/format";
import type { LiveConnection } from "../lib/live/connection";
import { Announcer } from "./Announcer";
import { Blank } from "./Blank";
import { type Condition, conditionOf } from "./condition";
import { Footer } from "./Footer";
import { Grid } from "./Grid";
import type { RowActions } from "./Row";
import { NOTHING_SELECTED, reduceSelection, type SelectionAction } from "./selection";
import { Toolbar } from "./Toolbar";
import { useHold } from "./useHold";
import { useKeys } from "./useKeys";
import { useReport } from "./useReport";
import { useRooms } from "./useRooms";
import { useShown } from "./useShown";
import { useSteady } from "./useSteady";
import { useWindow } from "./useWindow";
import { isFiltered, readView, type View, type WireView, writeView } from "./view";

export interface RoomsTableData {
  readonly ticket: string;
  readonly view: WireView;
  /** Rises when Python asks for another view than the reader's own, as by the Back button. */
  readonly viewRevision: number;
  /** A room's page, up to its name. */
  readonly roomHref: string;
}

export interface RoomsTableProps {
  readonly data: RoomsTableData;
  readonly onSelected: (names: readonly string[]) => void;
  readonly onView: (view: WireView) => void;
  readonly onOpen: (name: string) => void;
  readonly onRefused: () => void;
  /** Tests bring their own. */
  readonly connection?: LiveConnection;
}

/** Rows that moved under a resting pointer this lately: a click was aimed at another row. */
const MISHAP_MS = 500;

export function RoomsTable(props: RoomsTableProps) {
  const { data, onSelected, onView, onOpen, onRefused, connection } = props;
  const live = useRooms(data.ticket, onRefused, connection);
  const { rows, touched, source, status, clock, retryNow } = live;
  const condition = conditionOf(useSteady(status), source, rows !== null);
  const [view, setView] = useView(data, onView);
  const hold = useHold();
  const shown = useShown(rows, view, hold.held);
  const [selection, select] = useReducer(reduceSelection, NOTHING_SELECTED);
  const [active, setActive] = useState<string | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const windowed = useWindow(scroller, shown.names, view);
  const { names } = shown;
  const { touch } = hold;
  const { reveal, movedAt } = windowed;

  const selectedReport = useReport(onSelected, 150);
  const choose = useCallback(
    (action: SelectionAction) => {
      select(action);
      touch();
    },
    [touch],
  );
  const chosen = useRef(selection.names);
  useEffect(() => {
    if (chosen.current === selection.names) return;
    chosen.current = selection.names;
    selectedReport.later([...selection.names].sort());
  }, [selection.names, selectedReport]);
  useEffect(() => {
    if (rows) select({ kind: "prune", existing: rows });
  }, [rows]);

  const hrefOf = useCallback(
    (name: string) => data.roomHref + encodeURIComponent(name),
    [data.roomHref],
  );
  const openRef = useRef(onOpen);
  useEffect(() => {
    openRef.current = onOpen;
  });
  const aimedAt = useRef<number | null>(null);
  const isMishap = useCallback(() => {
    const aimed = aimedAt.current;
    const moved = movedAt.current;
    return aimed !== null && aimed < moved && performance.now() - moved < MISHAP_MS;
  }, [movedAt]);
  const actions = useMemo<RowActions>(
    () => ({
      open: (name) => {
        if (!isMishap()) openRef.current(name);
      },
      select: (name, range) => {
        if (isMishap()) return;
        setActive(name);
        choose(range ? { kind: "range", name, shown: names } : { kind: "toggle", name });
      },
      point: setActive,
    }),
    [choose, isMishap, names],
  );
  const go = useCallback(
    (index: number) => {
      setActive(names[index] ?? null);
      reveal(index);
    },
    [names, reveal],
  );
  const selectAll = useCallback(
    (on = true) => choose({ kind: on ? "add" : "drop", names }),
    [choose, names],
  );
  const onKeyDown = useKeys({
    names,
    active,
    go,
    open: (name, inNewTab) => {
      if (shown.isGone(name)) return;
      if (inNewTab) window.open(new URL(hrefOf(name), document.baseURI), "_blank", "noopener");
      else onOpen(name);
    },
    select: (name, range) => {
      if (shown.isGone(name)) return;
      choose(range ? { kind: "range", name, shown: names } : { kind: "toggle", name });
    },
    selectAll,
    clear: () => choose({ kind: "clear" }),
    onKey: touch,
  });

  const shownSelected = names.filter((name) => selection.names.has(name)).length;
  const total = rows?.size ?? 0;
  return (
    <div className="rooms">
      <Toolbar
        view={view}
        found={rows && shown}
        search={search}
        onView={setView}
        onDown={() => {
          scroller.current?.focus();
          go(Math.max(0, active === null ? 0 : names.indexOf(active)));
        }}
      />
      <div className="frame">
        <Grid
          shown={shown}
          touched={touched}
          clock={clock}
          selection={selection}
          active={active}
          sort={view.sort}
          stale={condition.kind === "disconnected" || condition.kind === "source-lost"}
          window={windowed}
          scroller={scroller}
          hrefOf={hrefOf}
          actions={actions}
          onSort={(sort) => setView({ ...view, sort })}
          onSelectAll={selectAll}
          onKeyDown={onKeyDown}
          onAim={() => {
            aimedAt.current = performance.now();
            touch();
          }}
          onLeave={() => {
            aimedAt.current = null;
            hold.leave();
          }}
        />
        {names.length === 0 && (
          <Blank
            condition={condition}
            view={view}
            total={total}
            onRetry={retryNow}
            onReset={() => setView({ ...view, q: "", health: [] })}
          />
        )}
        {rows !== null && (
          <Footer
            total={total}
            shown={names.length}
            filtered={isFiltered(view)}
            selected={selection.names.size}
            selectedHidden={selection.names.size - shownSelected}
            waiting={shown.waiting}
            condition={condition}
            clock={clock}
            onClear={() => select({ kind: "clear" })}
            onShowWaiting={hold.release}
            onRetry={retryNow}
          />
        )}
      </div>
      <Announcer text={announcement(condition, view, names.length, selection.names.size)} />
    </div>
  );
}

/** The view is the reader's; Python's counts at first, and when it asks for another one. */
function useView(data: RoomsTableData, onView: (view: WireView) => void) {
  const [view, setView] = useState(() => readView(data.view));
  const [revision, setRevision] = useState(data.viewRevision);
  if (revision !== data.viewRevision) {
    setRevision(data.viewRevision);
    setView(readView(data.view));
  }
  const report = useReport(onView, 400);
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each new revision
  useEffect(() => report.cancel(), [revision, report]);
  const change = (next: View) => {
    setView(next);
    report.later(writeView(next));
  };
  return [view, change] as const;
}

function announcement(condition: Condition, view: View, shown: number, selected: number): string {
  if (condition.kind === "disconnected") return "Reconnecting.";
  if (condition.kind === "source-lost") return condition.error;
  const parts = [];
  if (isFiltered(view)) {
    parts.push(`${countText(shown, "room")} found.`);
  }
  if (selected > 0) parts.push(`${selected} selected.`);
  return parts.join(" ") || "Live.";
}
