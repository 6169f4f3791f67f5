/** What came over the wire, checked where it enters. */

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

export type JsonObject = { readonly [name: string]: Json };

/** What the text says; undefined: it is no JSON. */
export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

/** Milliseconds since 1970 with the fraction that `Date.parse` drops; null for no moment. */
export function moment(value: unknown): number | null {
  if (typeof value !== "string") return null;
  const ms = Date.parse(value);
  if (Number.isNaN(ms)) return null;
  const digits = /\.\d{3}(\d+)/.exec(value)?.[1];
  return digits ? ms + Number(`0.${digits}`) : ms;
}

export function field<F extends string>(object: { readonly [name in F]?: Json }, name: F): Json {
  return object[name] ?? null;
}
