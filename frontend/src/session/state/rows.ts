import diff from "microdiff";
import { isObject, type Json } from "../../lib/json";

export const PAGE = 100;

export interface Row {
  readonly path: string;
  readonly name: string;
  readonly depth: number;
  readonly kind: "object" | "list" | "value" | "more";
  readonly value: Json;
  readonly count: number;
}

/** How much of each place is open: its first pages of `PAGE` entries. Not named: closed. */
export type Opened = ReadonlyMap<string, number>;

/** The lines of a tree, as far as it is opened. Never deeper or longer than was asked for. */
export function rowsOf(value: Json, opened: Opened, path = "$", name = "", depth = 0): Row[] {
  const rows: Row[] = [];
  const todo: { value: Json; path: string; name: string; depth: number; more: number }[] = [
    { value, path, name, depth, more: 0 },
  ];
  while (todo.length > 0) {
    const one = todo.pop();
    if (one === undefined) break;
    if (one.more > 0) {
      const { depth: at, path: where } = one;
      rows.push({ path: where, name: "", depth: at, kind: "more", value: null, count: one.more });
      continue;
    }
    const entries = entriesOf(one.value);
    const kind = Array.isArray(one.value) ? "list" : isObject(one.value) ? "object" : "value";
    const { path: where, name: called, depth: at } = one;
    rows.push({
      path: where,
      name: called,
      depth: at,
      kind,
      value: one.value,
      count: entries.length,
    });
    const pages = opened.get(where) ?? 0;
    const shown = entries.slice(0, pages * PAGE);
    const left = pages > 0 ? entries.length - shown.length : 0;
    if (left > 0) todo.push({ value: null, path: where, name: "", depth: at + 1, more: left });
    for (const [key, child] of shown.reverse()) {
      todo.push({ value: child, path: join(where, key), name: key, depth: at + 1, more: 0 });
    }
  }
  return rows;
}

function entriesOf(value: Json): [string, Json][] {
  if (Array.isArray(value)) return value.map((item, index) => [String(index), item as Json]);
  return isObject(value) ? Object.entries(value) : [];
}

export function join(path: string, key: string): string {
  return `${path}.${key.replaceAll(".", "\\.")}`;
}

const FOUND_MOST = 500;
const LOOKED_AT_MOST = 200_000;

/** The places whose name or text holds the words; bounded in what is looked at. */
export function search(value: Json, words: string): string[] {
  const wanted = words.toLowerCase();
  const found: string[] = [];
  const todo: [Json, string, string][] = [[value, "$", ""]];
  let looked = 0;
  while (todo.length > 0 && found.length < FOUND_MOST && looked < LOOKED_AT_MOST) {
    const [one, path, name] = todo.shift() ?? [null, "", ""];
    looked += 1;
    const text = typeof one === "object" ? "" : String(one);
    if (name.toLowerCase().includes(wanted) || text.toLowerCase().includes(wanted))
      found.push(path);
    for (const [key, child] of entriesOf(one)) todo.push([child, join(path, key), key]);
  }
  return found;
}

/** What must be opened for all of these to be seen. */
export function openedFor(paths: readonly string[], value: Json): Map<string, number> {
  const opened = new Map<string, number>([["$", 1]]);
  for (const path of paths) {
    let at: Json = value;
    let where = "$";
    for (const key of path.split(/(?<!\\)\./).slice(1)) {
      const plain = key.replaceAll("\\.", ".");
      const index = entriesOf(at).findIndex(([name]) => name === plain);
      if (index < 0) break;
      opened.set(where, Math.max(opened.get(where) ?? 0, Math.floor(index / PAGE) + 1));
      at = entriesOf(at)[index]?.[1] ?? null;
      where = join(where, plain);
    }
  }
  return opened;
}

export interface Change {
  readonly kind: "added" | "removed" | "changed";
  readonly path: string;
  readonly before: Json;
  readonly after: Json;
}

const CHANGES_MOST = 300;

/** What is different between two states, by place. */
export function changes(before: Json, after: Json): Change[] {
  const old = isObject(before) ? before : {};
  const now = isObject(after) ? after : {};
  return diff(old as Record<string, unknown>, now as Record<string, unknown>)
    .slice(0, CHANGES_MOST)
    .map((one) => ({
      kind: one.type === "CREATE" ? "added" : one.type === "REMOVE" ? "removed" : "changed",
      path: one.path.join("."),
      before: one.type === "CREATE" ? null : (one.oldValue as Json),
      after: one.type === "REMOVE" ? null : (one.value as Json),
    }));
}
