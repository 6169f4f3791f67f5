import { reactComponent } from "./mount";
import frameCss from "./rooms/frame.css?inline";
import { RoomsTable, type RoomsTableData } from "./rooms/RoomsTable";
import tableCss from "./rooms/table.css?inline";
import type { ComponentArgs } from "./streamlit";

/** The live table of rooms. State: `selected`, `view`. Triggers: `open`, `ticket`. */
export default reactComponent<ComponentArgs<RoomsTableData>>(
  ({ data, setStateValue, setTriggerValue }) => (
    <RoomsTable
      data={data}
      onSelected={(names) => setStateValue("selected", names)}
      onView={(view) => setStateValue("view", view)}
      onOpen={(name) => setTriggerValue("open", name)}
      onRefused={() => setTriggerValue("ticket", Date.now())}
    />
  ),
  frameCss + tableCss,
);
