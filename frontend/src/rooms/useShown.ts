import { useMemo, useState } from "react";
import { type Waiting, waiting } from "./order";
import type { RoomRow } from "./row";
import { type Projection, project, type View } from "./view";

type Rows = ReadonlyMap<string, RoomRow>;
const NONE: Rows = new Map();

export interface Shown extends Omit<Projection, "names"> {
  /** Names in the order on the screen. */
  readonly names: readonly string[];
  /** A name's row; of a room that went away while the order was held, its last one. */
  readonly row: (name: string) => RoomRow | undefined;
  readonly isGone: (name: string) => boolean;
  /** What the screen does not show yet. */
  readonly waiting: Waiting | null;
}

/**
 * The order on the screen. It follows the data, except while it is held: then cells change,
 * but no row moves, comes or goes. What the reader asks for (sort, filter) counts at once.
 */
export function useShown(live: Rows | null, view: View, held: boolean): Shown {
  const rows = live ?? NONE;
  const wanted = useMemo(() => project(rows, view), [rows, view]);
  const [screen, setScreen] = useState({ names: wanted.names, view, rows });
  let current = screen;
  const follows = !held || screen.view !== view;
  if (follows && (screen.names !== wanted.names || screen.view !== view)) {
    current = { names: wanted.names, view, rows };
    setScreen(current);
  }
  const pending = useMemo(
    () => waiting(current.names, wanted.names),
    [current.names, wanted.names],
  );
  return {
    names: current.names,
    counts: wanted.counts,
    searched: wanted.searched,
    row: (name) => rows.get(name) ?? current.rows.get(name),
    isGone: (name) => !rows.has(name),
    waiting: pending,
  };
}
