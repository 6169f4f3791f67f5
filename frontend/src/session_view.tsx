import flowCss from "@xyflow/react/dist/style.css?inline";
import { reactComponent } from "./mount";
import { Board, type BoardData } from "./session/board/Board";
import boardCss from "./session/board/board.css?inline";
import graphCss from "./session/graph/graph.css?inline";
import stateCss from "./session/state/state.css?inline";
import timelineCss from "./session/timeline/timeline.css?inline";
import transcriptCss from "./session/transcript/transcript.css?inline";
import type { ComponentArgs } from "./streamlit";

/** A session from the inside. State: `moment` (ms or null). Triggers: `note` (ms), `ticket`. */
export default reactComponent<ComponentArgs<BoardData>>(
  ({ data, setStateValue, setTriggerValue }) => (
    <Board
      data={data}
      onMoment={(moment) => setStateValue("moment", moment)}
      onNote={(moment) => setTriggerValue("note", moment)}
      onRefused={() => setTriggerValue("ticket", Date.now())}
    />
  ),
  flowCss + boardCss + graphCss + stateCss + timelineCss + transcriptCss,
);
