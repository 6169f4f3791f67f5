/** Chosen rooms by name, and the row a shift-click extends from. */
export interface Selection {
  readonly names: ReadonlySet<string>;
  readonly anchor: string | null;
}

export const NOTHING_SELECTED: Selection = { names: new Set(), anchor: null };

export type SelectionAction =
  | { kind: "toggle"; name: string }
  /** All between the anchor and `name`, in the order shown, get the anchor's state. */
  | { kind: "range"; name: string; shown: readonly string[] }
  | { kind: "add"; names: readonly string[] }
  | { kind: "drop"; names: readonly string[] }
  | { kind: "clear" }
  /** Rooms that are gone cannot stay selected. */
  | { kind: "prune"; existing: ReadonlyMap<string, unknown> };

export function reduceSelection(state: Selection, action: SelectionAction): Selection {
  switch (action.kind) {
    case "toggle": {
      const names = new Set(state.names);
      if (!names.delete(action.name)) names.add(action.name);
      return { names, anchor: action.name };
    }
    case "range":
      return range(state, action.name, action.shown);
    case "add":
      return { ...state, names: new Set([...state.names, ...action.names]) };
    case "drop": {
      const gone = new Set(action.names);
      return { ...state, names: new Set([...state.names].filter((name) => !gone.has(name))) };
    }
    case "clear":
      return state.names.size === 0 ? state : NOTHING_SELECTED;
    case "prune": {
      const names = [...state.names].filter((name) => action.existing.has(name));
      return names.length === state.names.size ? state : { ...state, names: new Set(names) };
    }
  }
}

function range(state: Selection, name: string, shown: readonly string[]): Selection {
  const from = state.anchor === null ? -1 : shown.indexOf(state.anchor);
  const to = shown.indexOf(name);
  if (from < 0 || to < 0) return reduceSelection(state, { kind: "toggle", name });
  const between = shown.slice(Math.min(from, to), Math.max(from, to) + 1);
  const on = state.anchor !== null && state.names.has(state.anchor);
  const changed = reduceSelection(state, { kind: on ? "add" : "drop", names: between });
  return { ...changed, anchor: state.anchor };
}
