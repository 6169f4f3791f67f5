import flowCss from "@xyflow/react/dist/style.css?inline";
import { reactComponent } from "./mount";
import { PathMap, type PathMapData } from "./paths/PathMap";
import pathsCss from "./paths/paths.css?inline";
import graphCss from "./session/graph/graph.css?inline";
import type { ComponentArgs } from "./streamlit";

/** A graph with what happened on it. Trigger: `see`, the query of the sessions that were chosen. */
export default reactComponent<ComponentArgs<PathMapData>>(
  ({ data, setTriggerValue }) => (
    <div style={{ containerType: "inline-size" }}>
      <PathMap data={data} onSee={(query) => setTriggerValue("see", query)} />
    </div>
  ),
  flowCss + graphCss + pathsCss,
);
