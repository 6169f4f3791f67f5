import { type KeyboardEvent, type RefObject, useEffect, useRef } from "react";
import type { ServerClock } from "./clock";
import { Row, type RowActions, rowId } from "./Row";
import type { Selection } from "./selection";
import type { RoomsState } from "./state";
import type { Shown } from "./useShown";
import { ROW_PX, type Window } from "./useWindow";
import { COLUMNS, type Column, nextSort, type Sort } from "./view";

const HEADS: Record<Column, { label: string; className: string }> = {
  name: { label: "Room", className: "name" },
  agent: { label: "Agent", className: "agent" },
  people: { label: "Participants", className: "number people" },
  publishers: { label: "Publishers", className: "number publishers" },
  age: { label: "Age", className: "number age" },
  expires: { label: "Expires", className: "number expires" },
  health: { label: "Health", className: "health" },
};

interface GridProps {
  readonly shown: Shown;
  readonly touched: RoomsState["touched"];
  readonly clock: ServerClock;
  readonly selection: Selection;
  readonly active: string | null;
  readonly sort: Sort;
  readonly stale: boolean;
  readonly window: Window;
  readonly scroller: RefObject<HTMLDivElement | null>;
  readonly hrefOf: (name: string) => string;
  readonly actions: RowActions;
  readonly onSort: (sort: Sort) => void;
  readonly onSelectAll: (on: boolean) => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
  readonly onAim: () => void;
  readonly onLeave: () => void;
}

export function Grid(props: GridProps) {
  const { shown, window, active } = props;
  const { names } = shown;
  // The active row is always drawn, even out of sight: aria-activedescendant points at it.
  const drawn = names.slice(window.start, window.end);
  if (active !== null && !drawn.includes(active) && names.includes(active)) drawn.push(active);
  const positions = new Map(names.map((name, index) => [name, index]));
  return (
    <div
      role="grid"
      ref={props.scroller}
      className="grid"
      tabIndex={0}
      aria-label="Open rooms"
      aria-multiselectable="true"
      aria-rowcount={names.length + 1}
      aria-colcount={COLUMNS.length + 1}
      aria-activedescendant={active !== null && positions.has(active) ? rowId(active) : undefined}
      data-stale={props.stale || undefined}
      onScroll={window.onScroll}
      onKeyDown={props.onKeyDown}
    >
      <Head {...props} />
      <div
        role="rowgroup"
        className="body"
        style={{ height: names.length * ROW_PX }}
        onPointerMove={props.onAim}
        onPointerLeave={props.onLeave}
      >
        {drawn.map((name) => {
          const row = shown.row(name);
          return (
            row && (
              <Row
                key={name}
                row={row}
                index={positions.get(name) ?? 0}
                href={props.hrefOf(name)}
                selected={props.selection.names.has(name)}
                active={name === active}
                gone={shown.isGone(name)}
                touch={props.touched.get(name)}
                clock={props.clock}
                actions={props.actions}
              />
            )
          );
        })}
      </div>
    </div>
  );
}

function Head({ shown, selection, sort, onSort, onSelectAll }: GridProps) {
  const chosen = shown.names.filter((name) => selection.names.has(name)).length;
  const all = chosen > 0 && chosen === shown.names.length;
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (box.current) box.current.indeterminate = chosen > 0 && !all;
  }, [chosen, all]);
  return (
    <div role="row" className="row head" aria-rowindex={1}>
      <div role="columnheader" className="cell box">
        <input
          ref={box}
          type="checkbox"
          checked={all}
          disabled={shown.names.length === 0}
          aria-label="Select all rooms shown"
          onChange={() => onSelectAll(!all)}
        />
      </div>
      {COLUMNS.map((column) => {
        const on = sort.column === column;
        const { label, className } = HEADS[column];
        return (
          <div
            key={column}
            role="columnheader"
            className={`cell ${className}`}
            aria-sort={on ? (sort.descending ? "descending" : "ascending") : "none"}
          >
            <button type="button" onClick={() => onSort(nextSort(sort, column))}>
              <span>{label}</span>
              <svg className="arrow" viewBox="0 0 10 10" aria-hidden="true">
                <path d={on && sort.descending ? "M2 3.5 5 6.5 8 3.5" : "M2 6.5 5 3.5 8 6.5"} />
              </svg>
            </button>
          </div>
        );
      })}
    </div>
  );
}
