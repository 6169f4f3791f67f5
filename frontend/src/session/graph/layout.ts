import dagre, { type Graph } from "@dagrejs/dagre";
import type { GraphShape } from "../model/types";

export const NODE = { width: 128, height: 42 } as const;
const END = { width: 56, height: 26 } as const;
const PAD = 18;

/** A graph that is looked at: it moves as a whole, its parts stay. */
export const STILL = {
  fitView: true,
  minZoom: 0.1,
  nodesDraggable: false,
  nodesConnectable: false,
  proOptions: { hideAttribution: true },
} as const;

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Box extends Size {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly nodes: ReadonlyMap<string, Box>;
  /** What frames each subgraph. */
  readonly groups: ReadonlyMap<string, Box>;
}

export interface Ways {
  readonly rankdir: "LR" | "TB";
  readonly step: Size;
  /** Between one rank and the next. */
  readonly ranksep: number;
}

const ACROSS: Ways = { rankdir: "LR", step: NODE, ranksep: 40 };

/** Where everything stands. The same shape always gives the same places. */
export function layout(shape: GraphShape, ways: Ways = ACROSS): Layout {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  const { rankdir, ranksep } = ways;
  graph.setGraph({ rankdir, nodesep: 16, ranksep, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of shape.nodes) {
    const size = node.kind === "start" || node.kind === "end" ? END : ways.step;
    graph.setNode(node.id, { ...size });
  }
  for (const { source, target } of shape.edges)
    if (source !== target) graph.setEdge(source, target);
  for (const [source, target] of backwards(graph)) graph.removeEdge(source, target);
  dagre.layout(graph);
  const nodes = new Map<string, Box>();
  for (const node of shape.nodes) {
    const { x, y, width, height } = graph.node(node.id) as Box;
    nodes.set(node.id, { x: x - width / 2, y: y - height / 2, width, height });
  }
  return { nodes, groups: frames(shape, nodes) };
}

/**
 * Edges that lead back within a loop, by the order in which the graph's author named its nodes.
 *
 * dagre turns some edge of each loop around, whichever; that could be the one that is read forward.
 */
function backwards(graph: Graph): [string, string][] {
  const order = new Map(graph.nodes().map((id, index) => [id, index]));
  const loop = new Map<string, number>();
  dagre.graphlib.alg.tarjan(graph).forEach((ids, index) => {
    for (const id of ids) loop.set(id, index);
  });
  return graph
    .edges()
    .filter(({ v, w }) => loop.get(v) === loop.get(w) && (order.get(w) ?? 0) < (order.get(v) ?? 0))
    .map(({ v, w }) => [v, w]);
}

function frames(shape: GraphShape, nodes: ReadonlyMap<string, Box>): Map<string, Box> {
  const groups = new Map<string, Box>();
  for (const { id, parent } of shape.nodes) {
    const box = nodes.get(id);
    if (parent === "" || box === undefined) continue;
    const before = groups.get(parent);
    const left = Math.min(before?.x ?? Number.POSITIVE_INFINITY, box.x - PAD);
    const top = Math.min(before?.y ?? Number.POSITIVE_INFINITY, box.y - PAD - 12);
    const right = Math.max(before ? before.x + before.width : 0, box.x + box.width + PAD);
    const bottom = Math.max(before ? before.y + before.height : 0, box.y + box.height + PAD);
    groups.set(parent, { x: left, y: top, width: right - left, height: bottom - top });
  }
  return groups;
}
