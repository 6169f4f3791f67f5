import { isObject, type JsonObject, moment, text, texts } from "../json";

/** A row as its reader wants it; null for one that cannot be used. */
export type ReadRow<Row> = (row: JsonObject) => Row | null;

/** What is told about a topic: all of it as it is, or what changed. */
export interface LiveEvent<Row> {
  readonly kind: "snapshot" | "change";
  readonly topic: string;
  /** When, by the server's clock; null: it does not say. */
  readonly at: number | null;
  /** All rows, or those that are new or changed. Null: only that something changed. */
  readonly rows: readonly Row[] | null;
  /** The keys of rows that are no more. */
  readonly removed: readonly string[];
  /** The whole of it, for what a topic tells beside its rows. */
  readonly body: JsonObject;
}

/** The event, or null for what is none. */
export function readEvent<Row>(
  kind: LiveEvent<Row>["kind"],
  body: unknown,
  readRow: ReadRow<Row>,
): LiveEvent<Row> | null {
  if (!isObject(body)) return null;
  const topic = text(body.topic);
  if (topic === "") return null;
  const rows = kind === "snapshot" ? body.rows : body.upsert;
  return {
    kind,
    topic,
    at: moment(body.at),
    rows: Array.isArray(rows) ? rows.flatMap((row) => usable(row, readRow)) : null,
    removed: kind === "change" ? texts(body.remove).filter((key) => key !== "") : [],
    body,
  };
}

function usable<Row>(row: unknown, readRow: ReadRow<Row>): Row[] {
  const read = isObject(row) ? readRow(row) : null;
  return read === null ? [] : [read];
}
