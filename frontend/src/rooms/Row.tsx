import { type MouseEvent, memo } from "react";
import { plain } from "../lib/format";
import { Absent, Age, Name, Remaining, Value } from "./cells";
import type { ServerClock } from "./clock";
import { HEALTH_WORDS, HealthIcon } from "./health";
import type { RoomRow } from "./row";
import type { Touch } from "./state";
import { ROW_PX } from "./useWindow";

export interface RowActions {
  /** A plain click on the name. */
  open(name: string): void;
  /** A click on the checkbox, or with a modifier on the row. */
  select(name: string, range: boolean): void;
  /** Any other click: where the arrow keys go on from. */
  point(name: string): void;
}

interface RowProps {
  readonly row: RoomRow;
  readonly index: number;
  readonly href: string;
  readonly selected: boolean;
  readonly active: boolean;
  readonly gone: boolean;
  readonly touch: Touch | undefined;
  readonly clock: ServerClock;
  readonly actions: RowActions;
}

/** An id for ARIA; a name may hold spaces, which an id may not. */
export function rowId(name: string): string {
  return `room-${encodeURIComponent(name)}`;
}

export const Row = memo(function Row(props: RowProps) {
  const { row, index, href, selected, active, gone, touch, clock, actions } = props;
  const name = plain(row.name);

  const onClick = (event: MouseEvent) => {
    if (gone) return;
    if (event.shiftKey || event.ctrlKey || event.metaKey) actions.select(row.name, event.shiftKey);
    else actions.point(row.name);
  };
  const onLink = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) {
      event.stopPropagation(); // the browser opens its tab or window
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (!gone) actions.open(row.name);
  };
  const onBox = (event: MouseEvent) => {
    event.stopPropagation();
    if (!gone) actions.select(row.name, event.shiftKey);
  };

  return (
    <div
      role="row"
      id={rowId(row.name)}
      className="row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      data-active={active || undefined}
      data-gone={gone || undefined}
      style={{ transform: `translateY(${index * ROW_PX}px)` }}
      onClick={onClick}
      onDoubleClick={() => !gone && actions.open(row.name)}
      onMouseDown={(event) => event.shiftKey && event.preventDefault()}
    >
      <div role="gridcell" className="cell box" onClick={onBox} onDoubleClick={stop}>
        <input
          type="checkbox"
          tabIndex={-1}
          checked={selected}
          readOnly
          disabled={gone}
          aria-label={`Select ${name}`}
        />
      </div>
      <div role="gridcell" className="cell name">
        <Value touch={touch} fields={["name"]}>
          {gone ? (
            <span className="label" title={name}>
              <Name text={name} />
            </span>
          ) : (
            <a
              className="label"
              href={href}
              tabIndex={-1}
              title={name}
              aria-label={name}
              onClick={onLink}
              onDoubleClick={stop}
              onMouseDown={keepFocus}
            >
              <Name text={name} />
            </a>
          )}
        </Value>
        {row.adopted && !gone && (
          <span className="tag" title="External room (not created by Switchboard)">
            external
          </span>
        )}
      </div>
      <div role="gridcell" className="cell agent">
        {row.agent === "" ? (
          <Absent />
        ) : (
          <Value touch={touch} fields={["agent", "agentState"]}>
            <bdi title={plain(row.agent)}>{plain(row.agent)}</bdi>
            {row.agentState !== "" && <span className="state">{plain(row.agentState)}</span>}
          </Value>
        )}
      </div>
      <div role="gridcell" className="cell number" data-zero={row.people === 0 || undefined}>
        <Value touch={touch} fields={["people"]}>
          {row.people}
        </Value>
      </div>
      <div
        role="gridcell"
        className="cell number publishers"
        data-zero={row.publishers === 0 || undefined}
      >
        <Value touch={touch} fields={["publishers"]}>
          {row.publishers}
        </Value>
      </div>
      <div role="gridcell" className="cell number age">
        <Age at={row.createdAt} clock={clock} />
      </div>
      <div role="gridcell" className="cell number expires">
        <Value touch={touch} fields={["expiresAt"]}>
          <Remaining at={row.expiresAt} clock={clock} />
        </Value>
      </div>
      <div role="gridcell" className="cell health" title={gone ? "" : plain(row.healthText)}>
        {gone ? (
          <span className="absent">Closed</span>
        ) : (
          <Value touch={touch} fields={["health"]}>
            <HealthIcon health={row.health} />
            <span className="word" data-health={row.health}>
              {HEALTH_WORDS[row.health]}
            </span>
            {row.health !== "ok" && row.healthText !== "" && (
              <span className="why">{plain(row.healthText)}</span>
            )}
          </Value>
        )}
      </div>
    </div>
  );
});

function stop(event: MouseEvent): void {
  event.stopPropagation();
}

/** The grid keeps the focus: a row that scrolls out of sight would take it along. */
function keepFocus(event: MouseEvent<HTMLElement>): void {
  if (event.button !== 0) return;
  event.preventDefault();
  event.currentTarget.closest<HTMLElement>("[role=grid]")?.focus({ preventScroll: true });
}
