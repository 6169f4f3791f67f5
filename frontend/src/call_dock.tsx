import { reactComponent } from "./mount";
import type { ComponentArgs } from "./streamlit";
import { Dock } from "./talk/Dock";
import talkCss from "./talk/talk.css?inline";

/** On every page but that of the call, while it goes on; loads nothing of LiveKit's. Trigger: `open`. */
export default reactComponent<ComponentArgs<null>>(
  ({ setTriggerValue }) => <Dock onOpen={() => setTriggerValue("open", Date.now())} />,
  talkCss,
);
