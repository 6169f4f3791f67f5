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
  useReactFlow,
} from "@xyflow/react";
import { memo, type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import { offset, plain, took } from "../../lib/format";
import { type GraphLook, graphAt, type NodeLook, until } from "../model/at";
import type { GraphShape, ViewProps } from "../model/types";
import { layout, STILL } from "./layout";

type Data = { readonly label: string; readonly kind: string; readonly look: NodeLook | null };
type GraphNode = Node<Data>;

const NO_SHAPES: readonly GraphShape[] = [];

/** The agent's graph as it was at the moment that is looked at, or as it works now. */
export function GraphView(props: ViewProps): ReactElement {
  const shapes = props.model.graphs.length > 0 ? props.model.graphs : NO_SHAPES;
  const [chosen, choose] = useState(0);
  const shape = shapes[Math.min(chosen, shapes.length - 1)];
  if (shape === undefined)
    return (
      <p className="sb-empty">
        {props.model.recorded ? "This agent has no graph." : "No graph recorded for this session."}
      </p>
    );
  return (
    <div className="sg">
      {shapes.length > 1 && (
        <div className="sb-tabs" role="tablist" aria-label="Graphs">
          {shapes.map((one, index) => (
            <button
              key={one.name}
              type="button"
              role="tab"
              aria-selected={one === shape}
              onClick={() => choose(index)}
            >
              {plain(one.name)}
            </button>
          ))}
        </div>
      )}
      <ReactFlowProvider key={shape.name}>
        <Flow {...props} shape={shape} />
      </ReactFlowProvider>
    </div>
  );
}

function Flow({ model, moment, onMoment, shape }: ViewProps & { readonly shape: GraphShape }) {
  const places = useMemo(() => layout(shape), [shape]);
  const look = useMemo(() => graphAt(model, moment, shape), [model, moment, shape]);
  const [opened, open] = useState<string | null>(null);
  const nodes = useNodes(shape, places, look);
  const edges = useMemo(() => edgesOf(shape, look), [shape, look]);
  const working = look.running.join(", ");
  return (
    <div className="sg-flow">
      <ReactFlow
        {...STILL}
        nodes={nodes}
        edges={edges}
        nodeTypes={TYPES}
        fitViewOptions={{ padding: 0.08, maxZoom: 1.1 }}
        edgesFocusable={false}
        onlyRenderVisibleElements={shape.nodes.length > 80}
        onNodeClick={(_, node) => open(node.type === "frame" ? null : node.id)}
        onPaneClick={() => open(null)}
        onSelectionChange={({ nodes: [first] }) => first && open(first.id)}
      >
        <Controls showInteractive={false} />
        <Refit />
      </ReactFlow>
      <p className="sb-unseen" role="status">
        {working && `Running: ${working}`}
      </p>
      {opened !== null && (
        <Visits
          model={model}
          moment={moment}
          onMoment={onMoment}
          node={opened}
          onClose={() => open(null)}
        />
      )}
    </div>
  );
}

/** The panel may get its size late; then everything is brought into sight once more. */
function Refit(): null {
  const { fitView } = useReactFlow();
  const box = useRef(false);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (!box.current) void fitView({ padding: 0.08, maxZoom: 1.1 });
      box.current = true;
    }, 120);
    return () => clearTimeout(timer);
  }, [fitView]);
  return null;
}

/** A node object changes only with what it looks like, so that nothing else is drawn anew. */
function useNodes(
  shape: GraphShape,
  places: ReturnType<typeof layout>,
  look: GraphLook,
): GraphNode[] {
  const kept = useRef(new Map<string, GraphNode>());
  return useMemo(() => {
    const nodes: GraphNode[] = [...places.groups].map(([id, box]) => ({
      id: `frame:${id}`,
      type: "frame",
      position: { x: box.x, y: box.y },
      width: box.width,
      height: box.height,
      zIndex: -1,
      selectable: false,
      focusable: false,
      data: { label: id, kind: "frame", look: null },
    }));
    for (const node of shape.nodes) {
      const now = look.nodes.get(node.id) ?? null;
      const before = kept.current.get(node.id);
      const box = places.nodes.get(node.id);
      if (box === undefined) continue;
      const same =
        before !== undefined && alike(before.data.look, now) && before.width === box.width;
      const made: GraphNode = same
        ? before
        : {
            id: node.id,
            type: "step",
            position: { x: box.x, y: box.y },
            width: box.width,
            height: box.height,
            ariaLabel: said(node.name, now),
            data: { label: node.name.replace(/^__|__$/g, ""), kind: node.kind, look: now },
          };
      kept.current.set(node.id, made);
      nodes.push(made);
    }
    return nodes;
  }, [shape, places, look]);
}

function edgesOf(shape: GraphShape, look: GraphLook): Edge[] {
  return shape.edges.map((edge) => {
    const id = `${edge.source}>${edge.target}`;
    const taken = look.edges.has(id);
    return {
      id,
      source: edge.source,
      target: edge.target,
      ...(edge.label ? { label: plain(edge.label) } : {}),
      className: `sg-edge${edge.conditional ? " sg-maybe" : ""}${taken ? " sg-taken" : ""}`,
      markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14 },
      zIndex: taken ? 1 : 0,
      focusable: false,
    };
  });
}

const Step = memo(({ data, selected }: NodeProps<GraphNode>): ReactElement => {
  const { look, kind, label } = data;
  const ends = kind === "start" || kind === "end";
  return (
    <div
      className="sg-node"
      data-kind={kind}
      data-end={look?.end ?? "none"}
      data-path={look?.onPath === true}
      data-selected={selected}
      data-node={label}
    >
      <Handle type="target" position={Position.Left} />
      <span className="sg-name">{plain(label)}</span>
      {!ends && <span className="sg-fact">{fact(look)}</span>}
      <Handle type="source" position={Position.Right} />
    </div>
  );
});

const Frame = memo(
  ({ data }: NodeProps<GraphNode>): ReactElement => (
    <div className="sg-frame">{plain(data.label)}</div>
  ),
);

const TYPES = { step: Step, frame: Frame };

function alike(a: NodeLook | null, b: NodeLook | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.end === b.end &&
    a.count === b.count &&
    a.lastMs === b.lastMs &&
    a.onPath === b.onPath &&
    a.error === b.error
  );
}

function fact(look: NodeLook | null): string {
  if (look === null) return "";
  const times = look.count > 1 ? ` · ${look.count} runs` : "";
  switch (look.end) {
    case "running":
      return `running${times}`;
    case "error":
      return `failed${times}`;
    case "interrupted":
      return `waiting${times}`;
    case "cancelled":
      return `cancelled${times}`;
    case "lost":
      return `lost${times}`;
    case "done":
      return `${look.lastMs === null ? "" : took(look.lastMs)}${times}`;
  }
}

function said(name: string, look: NodeLook | null): string {
  return look === null ? `${name}: not executed` : `${name}: ${fact(look)}`;
}

const SHOWN = 30;

function Visits({
  model,
  moment,
  onMoment,
  node,
  onClose,
}: ViewProps & { readonly node: string; readonly onClose: () => void }): ReactElement {
  const visits = model.visits.filter((one) => one.node === node && one.from <= until(moment));
  const shown = visits.slice(-SHOWN).reverse();
  return (
    <aside className="sg-visits" aria-label={`Runs of ${node}`}>
      <header>
        <strong>{plain(node)}</strong>
        <button type="button" className="sb-icon" aria-label="Close" onClick={onClose}>
          ×
        </button>
      </header>
      {shown.length === 0 && <p className="sb-hint">Not executed.</p>}
      <ol>
        {shown.map((visit) => (
          <li key={visit.id}>
            <button type="button" className="sb-link" onClick={() => onMoment(visit.from)}>
              {offset(visit.from - model.from)}
            </button>{" "}
            {visit.end === "done" ? "" : `${visit.end} `}
            {visit.to !== null && took(visit.to - visit.from)}
            {visit.error && <p className="sb-error">{plain(visit.error)}</p>}
            {visit.update !== null && (
              <pre>{JSON.stringify(visit.update, null, 1)?.slice(0, 1_200)}</pre>
            )}
          </li>
        ))}
      </ol>
      {visits.length > SHOWN && (
        <p className="sb-hint">
          Showing the last {SHOWN} of {visits.length} runs.
        </p>
      )}
    </aside>
  );
}
