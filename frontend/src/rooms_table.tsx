import { reactComponent } from "./mount";
import { RoomsTable, type RoomsTableData } from "./rooms/RoomsTable";
import css from "./rooms/table.css?inline";
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
  css,
);
