import { reactComponent } from "./mount";
import { Probe, type ProbeData } from "./probe/Probe";
import type { ComponentArgs } from "./streamlit";
import talkCss from "./talk/talk.css?inline";

/** A browser's check of itself. Trigger: `ask`, for a token. State: `found`. */
export default reactComponent<ComponentArgs<ProbeData>>(
  ({ data, setStateValue, setTriggerValue }) => (
    <Probe
      data={data}
      onAsk={() => setTriggerValue("ask", Date.now())}
      onFound={(found) => setStateValue("found", found)}
    />
  ),
  talkCss,
);
