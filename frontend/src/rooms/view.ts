import { HEALTHS, type Health, type RoomRow } from "./row";

export const COLUMNS = [
  "name",
  "agent",
  "people",
  "publishers",
  "age",
  "expires",
  "health",
] as const;
export type Column = (typeof COLUMNS)[number];

export interface Sort {
  readonly column: Column;
  readonly descending: boolean;
}

/** What the reader asked to see. `health` empty = every health. */
export interface View {
  readonly q: string;
  readonly health: readonly Health[];
  readonly sort: Sort;
}

/** As Python and the address bar carry it; `sort` = a column, "-" before it for descending. */
export interface WireView {
  readonly q: string;
  readonly health: readonly string[];
  readonly sort: string;
}

/** Youngest first: a room that opens is seen. */
export const DEFAULT_SORT: Sort = { column: "age", descending: false };

export function readView(wire: WireView): View {
  return {
    q: wire.q,
    health: HEALTHS.filter((health) => wire.health.includes(health)),
    sort: readSort(wire.sort),
  };
}

export function writeView(view: View): WireView {
  const { column, descending } = view.sort;
  return { q: view.q.trim(), health: view.health, sort: descending ? `-${column}` : column };
}

/** Whether the view leaves rooms out. */
export function isFiltered(view: View): boolean {
  return view.q.trim() !== "" || view.health.length > 0;
}

function readSort(text: string): Sort {
  const descending = text.startsWith("-");
  const column = COLUMNS.find((known) => known === (descending ? text.slice(1) : text));
  return column ? { column, descending } : DEFAULT_SORT;
}

/** What a click on a column's head asks for: first its natural direction, then the other. */
export function nextSort(sort: Sort, column: Column): Sort {
  if (sort.column === column) return { column, descending: !sort.descending };
  return { column, descending: column === "people" || column === "publishers" };
}

/** The filter button of one health: on its own, it adds or takes away. */
export function toggleHealth(view: View, health: Health): View {
  const on = new Set(view.health);
  if (!on.delete(health)) on.add(health);
  return { ...view, health: HEALTHS.filter((known) => on.has(known)) };
}

export interface Projection {
  /** Names in order, after search and filter. */
  readonly names: readonly string[];
  /** How many the search alone leaves, by health. */
  readonly counts: Readonly<Record<Health, number>>;
  readonly searched: number;
}

export function project(rows: ReadonlyMap<string, RoomRow>, view: View): Projection {
  const counts = { no_agent: 0, expiring: 0, ending: 0, unknown: 0, empty: 0, ok: 0 };
  const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);
  const healths = new Set(view.health);
  const found: RoomRow[] = [];
  let searched = 0;
  for (const row of rows.values()) {
    if (!matches(row, words)) continue;
    searched += 1;
    counts[row.health] += 1;
    if (healths.size === 0 || healths.has(row.health)) found.push(row);
  }
  found.sort(comparator(view.sort));
  return { names: found.map((row) => row.name), counts, searched };
}

function matches(row: RoomRow, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const text = `${row.name}\n${row.agent}\n${row.sessionId}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

type Compare = (a: RoomRow, b: RoomRow) => number;

const COMPARE: Record<Column, Compare> = {
  name: () => 0,
  agent: (a, b) => compareText(a.agent, b.agent) || compareText(a.agentState, b.agentState),
  people: (a, b) => a.people - b.people,
  publishers: (a, b) => a.publishers - b.publishers,
  age: (a, b) => compareMoment(b.createdAt, a.createdAt),
  expires: (a, b) => compareMoment(a.expiresAt, b.expiresAt),
  health: (a, b) => HEALTHS.indexOf(a.health) - HEALTHS.indexOf(b.health),
};

/** Rows without a value come last in both directions; equal ones stand by name. */
function comparator({ column, descending }: Sort): Compare {
  const compare = COMPARE[column];
  const sign = descending ? -1 : 1;
  const byName = column === "name" ? sign : 1;
  return (a, b) =>
    Number(lacks(a, column)) - Number(lacks(b, column)) ||
    sign * compare(a, b) ||
    byName * compareText(a.name, b.name);
}

function lacks(row: RoomRow, column: Column): boolean {
  if (column === "agent") return row.agent === "";
  if (column === "age") return row.createdAt === null;
  return column === "expires" && row.expiresAt === null;
}

// Code units, not the reader's language: names are made by machines, and 5,000 rows are
// sorted at each change (Intl.Collator took ten times as long).
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareMoment(a: number | null, b: number | null): number {
  return (a ?? 0) - (b ?? 0);
}
