import type { GraphShape, Moment, NodeVisit, SavedState, SessionModel } from "./types";

/** How many of `items`, ordered by `key`, are at or before `limit`. */
export function countUntil<T>(
  items: readonly T[],
  limit: number,
  key: (item: T) => number,
): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = items[middle];
    if (item !== undefined && key(item) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function until(moment: Moment): number {
  return moment ?? Number.POSITIVE_INFINITY;
}

/** The last state that was saved at that moment. */
export function stateIndexAt(model: SessionModel, moment: Moment): number {
  return countUntil(model.states, until(moment), (state) => state.at) - 1;
}

export function stateAt(model: SessionModel, moment: Moment): SavedState | null {
  return model.states[stateIndexAt(model, moment)] ?? null;
}

/** The turn that goes on at that moment, by its index; null before the first. */
export function turnAt(model: SessionModel, moment: Moment): number | null {
  const count = countUntil(model.turns, until(moment), (turn) => turn.from);
  return count === 0 ? null : count - 1;
}

export interface NodeLook {
  readonly end: NodeVisit["end"];
  readonly count: number;
  /** Of its last visit that is over. */
  readonly lastMs: number | null;
  readonly error: string;
  /** It is on the way of the turn that goes on. */
  readonly onPath: boolean;
}

export interface GraphLook {
  readonly nodes: ReadonlyMap<string, NodeLook>;
  /** `<source>><target>` of the edges that the turn's way went along. */
  readonly edges: ReadonlySet<string>;
  readonly running: readonly string[];
}

/** What each node of the graph looks like at that moment. */
export function graphAt(model: SessionModel, moment: Moment, shape: GraphShape | null): GraphLook {
  const limit = until(moment);
  const turn = turnAt(model, moment);
  const nodes = new Map<string, NodeLook>();
  const path: NodeVisit[] = [];
  const running = new Set<string>();
  const count = countUntil(model.visits, limit, (visit) => visit.from);
  for (const visit of model.visits.slice(0, count)) {
    const before = nodes.get(visit.node);
    const over = visit.to !== null && visit.to <= limit;
    const onPath = visit.turn === turn || (turn === 0 && visit.turn === null);
    if (onPath) path.push(visit);
    if (over) running.delete(visit.node);
    else running.add(visit.node);
    nodes.set(visit.node, {
      end: over ? visit.end : "running",
      count: (before?.count ?? 0) + 1,
      lastMs: over ? (visit.to ?? 0) - visit.from : (before?.lastMs ?? null),
      error: over ? visit.error : "",
      onPath: onPath || (before?.onPath === true && before !== undefined && visit.turn === turn),
    });
  }
  return { nodes, edges: edgesOf(path, shape), running: [...running] };
}

/** The edges between what ran, as far as the graph has them: a node is led to by one before it. */
function edgesOf(path: readonly NodeVisit[], shape: GraphShape | null): Set<string> {
  const taken = new Set<string>();
  if (shape === null) return taken;
  const into = new Map<string, string[]>();
  for (const { source, target } of shape.edges) {
    into.set(target, [...(into.get(target) ?? []), source]);
  }
  const done = new Set(shape.nodes.filter(({ kind }) => kind === "start").map(({ id }) => id));
  for (const visit of path) {
    for (const source of into.get(visit.node) ?? []) {
      if (done.has(source)) taken.add(`${source}>${visit.node}`);
    }
    done.add(visit.node);
  }
  return taken;
}
