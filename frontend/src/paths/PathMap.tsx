import {
  Controls,
  type Edge,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
} from "@xyflow/react";
import {
  type KeyboardEvent,
  type MouseEvent,
  memo,
  type ReactElement,
  useMemo,
  useState,
} from "react";
import { plain } from "../lib/format";
import { type Layout, layout, STILL, type Ways } from "../session/graph/layout";
import type { GraphEdge, GraphNode, GraphShape } from "../session/model/types";

/** A figure, and the query of the sessions page that lists what it counts; "": nothing does. */
export interface Fact {
  readonly text: string;
  readonly query: string;
}

/** What happened on a node or an edge. `share`: its part (0 to 1) of the most on any of them. */
export interface Traffic {
  readonly count: string;
  readonly time: string;
  readonly share: number;
  /** Parts (0 to 1) of its runs that failed. */
  readonly failed: number;
  readonly facts: readonly Fact[];
}

export interface PathMapData {
  /** A session's page of the address, up to the query: "sessions". */
  readonly href: string;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** By a node's id. */
  readonly onNodes: Readonly<Record<string, Traffic>>;
  /** By `<source>|<target>`. */
  readonly onEdges: Readonly<Record<string, Traffic>>;
}

interface Props {
  readonly data: PathMapData;
  readonly onSee: (query: string) => void;
}

type Data = { readonly label: string; readonly kind: string; readonly traffic: Traffic | null };
type Step = Node<Data>;

const DOWN: Ways = { rankdir: "TB", step: { width: 156, height: 58 }, ranksep: 46 };
const WIDEST = 8;
const FRAME_PX = 24;

/** The graph of an agent with all that happened on it: how often, how long, how often it failed. */
export function PathMap({ data, onSee }: Props): ReactElement {
  const [chosen, choose] = useState<string | null>(null);
  const shape = useMemo<GraphShape>(
    () => ({ name: "paths", nodes: data.nodes, edges: data.edges }),
    [data.nodes, data.edges],
  );
  const places = useMemo(() => layout(shape, DOWN), [shape]);
  const nodes = useMemo(() => nodesOf(shape, places, data), [shape, places, data]);
  const edges = useMemo(() => edgesOf(data, chosen), [data, chosen]);
  const traffic = chosen === null ? null : (data.onNodes[chosen] ?? data.onEdges[chosen] ?? null);
  return (
    <div className="sg pm" style={{ blockSize: heightOf(places) }}>
      <div className="sg-flow">
        <ReactFlowProvider>
          <ReactFlow
            {...STILL}
            nodes={nodes}
            edges={edges}
            nodeTypes={TYPES}
            fitViewOptions={{ padding: 0.04, maxZoom: 1 }}
            zoomOnScroll={false}
            preventScrolling={false}
            onNodeClick={(_, node) => choose(node.id)}
            onEdgeClick={(_, edge) => choose(edge.id)}
            onPaneClick={() => choose(null)}
            onKeyDown={(event) => {
              if (event.key === "Enter" || event.key === " ") choose(focused(event) ?? chosen);
              if (event.key === "Escape") choose(null);
            }}
          >
            <Controls showInteractive={false} />
          </ReactFlow>
        </ReactFlowProvider>
        {chosen !== null && (
          <Facts
            title={titleOf(chosen)}
            facts={traffic?.facts ?? []}
            href={data.href}
            onSee={onSee}
            onClose={() => choose(null)}
          />
        )}
      </div>
    </div>
  );
}

/** The node or the edge that has the focus. */
function focused(event: KeyboardEvent): string | null {
  return (event.target as Element).closest("[data-id]")?.getAttribute("data-id") ?? null;
}

function titleOf(id: string): string {
  const [source = "", target] = id.split("|");
  return target === undefined ? bare(source) : `${bare(source)} → ${bare(target)}`;
}

function bare(name: string): string {
  return plain(name.replace(/^__|__$/g, ""));
}

function Facts(props: {
  readonly title: string;
  readonly facts: readonly Fact[];
  readonly href: string;
  readonly onSee: (query: string) => void;
  readonly onClose: () => void;
}): ReactElement {
  const follow = (event: MouseEvent, query: string) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    props.onSee(query);
  };
  return (
    <aside className="sg-visits pm-facts" aria-label={props.title} aria-live="polite">
      <header>
        <strong>{props.title}</strong>
        <button type="button" aria-label="Close" onClick={props.onClose}>
          ×
        </button>
      </header>
      {props.facts.length === 0 && <p>Not executed in this period.</p>}
      <ul>
        {props.facts.map((fact) => (
          <li key={fact.text}>
            {fact.query === "" ? (
              plain(fact.text)
            ) : (
              <a
                href={`${props.href}?${fact.query}`}
                onClick={(event) => follow(event, fact.query)}
              >
                {plain(fact.text)}
              </a>
            )}
          </li>
        ))}
      </ul>
    </aside>
  );
}

/** As high as it is; a graph that is wider than the page is drawn smaller. */
function heightOf(places: Layout): string {
  const boxes = [...places.nodes.values()];
  const high = Math.max(0, ...boxes.map((box) => box.y + box.height)) + FRAME_PX;
  const wide = Math.max(1, ...boxes.map((box) => box.x + box.width)) + FRAME_PX;
  return `clamp(220px, calc(100cqi * ${(high / wide).toFixed(3)}), ${Math.min(1_400, Math.ceil(high))}px)`;
}

function nodesOf(shape: GraphShape, places: Layout, data: PathMapData): Step[] {
  const frames: Step[] = [...places.groups].map(([id, box]) => ({
    id: `frame:${id}`,
    type: "frame",
    position: { x: box.x, y: box.y },
    width: box.width,
    height: box.height,
    zIndex: -1,
    selectable: false,
    focusable: false,
    data: { label: id, kind: "frame", traffic: null },
  }));
  const steps = shape.nodes.flatMap((node): Step[] => {
    const box = places.nodes.get(node.id);
    if (box === undefined) return [];
    const ends = node.kind === "start" || node.kind === "end";
    const traffic = data.onNodes[node.id] ?? null;
    return [
      {
        id: node.id,
        type: "step",
        position: { x: box.x, y: box.y },
        width: box.width,
        height: box.height,
        selectable: !ends,
        focusable: !ends,
        ariaLabel: `${node.name}: ${traffic ? `${traffic.count}, ${traffic.time}` : "not executed"}`,
        data: { label: bare(node.name), kind: node.kind, traffic },
      },
    ];
  });
  return [...frames, ...steps];
}

function edgesOf(data: PathMapData, chosen: string | null): Edge[] {
  return data.edges.map((edge) => {
    const id = `${edge.source}|${edge.target}`;
    const traffic = data.onEdges[id] ?? null;
    const failing = traffic !== null && traffic.failed > 0;
    return {
      id,
      source: edge.source,
      target: edge.target,
      ...(traffic ? { label: traffic.count } : {}),
      ariaLabel: `${titleOf(id)}: ${traffic ? `${traffic.count}, ${traffic.time}` : "not taken"}`,
      className: [
        "pm-edge",
        edge.conditional ? "sg-maybe" : "",
        traffic === null ? "pm-unused" : "",
        failing ? "pm-failing" : "",
        id === chosen ? "pm-chosen" : "",
      ].join(" "),
      style: { strokeWidth: traffic === null ? 1 : 1.2 + WIDEST * traffic.share },
      markerEnd: {
        type: MarkerType.ArrowClosed,
        width: 16,
        height: 16,
        markerUnits: "userSpaceOnUse",
      },
      zIndex: id === chosen ? 2 : 0,
    };
  });
}

const Stop = memo(({ data, selected }: NodeProps<Step>): ReactElement => {
  const { kind, label, traffic } = data;
  const ends = kind === "start" || kind === "end";
  return (
    <div
      className="sg-node pm-node"
      data-kind={kind}
      data-selected={selected}
      data-node={label}
      data-used={traffic !== null}
      style={{ "--share": traffic?.share ?? 0, "--failed": traffic?.failed ?? 0 } as never}
    >
      <Handle type="target" position={Position.Top} />
      <span className="sg-name">{label}</span>
      {!ends && (
        <>
          <span className="sg-fact">{traffic?.count ?? "not executed"}</span>
          {traffic && <span className="sg-fact">{traffic.time}</span>}
          {traffic && traffic.failed > 0 && <span className="pm-failed" />}
        </>
      )}
      <Handle type="source" position={Position.Bottom} />
    </div>
  );
});

const Frame = memo(
  ({ data }: NodeProps<Step>): ReactElement => <div className="sg-frame">{plain(data.label)}</div>,
);

const TYPES = { step: Stop, frame: Frame };
