import { RoomContext } from "@livekit/components-react";
import { createRoot } from "react-dom/client";
import { reactComponent } from "./mount";
import type { ComponentArgs } from "./streamlit";
import { Call } from "./talk/call";
import { Sound } from "./talk/InCall";
import { Panel, type PanelData } from "./talk/Panel";
import { store } from "./talk/store";
import talkCss from "./talk/talk.css?inline";

const call = new Call(store);

// The agent's voice goes on while Streamlit takes pages away: it is played from outside of them.
const speaker = document.createElement("div");
speaker.hidden = true;
document.body.append(speaker);
createRoot(speaker).render(
  <RoomContext.Provider value={call.room}>
    <Sound />
  </RoomContext.Provider>,
);

/** The call of the test page. State: `session` {id, phase}. */
export default reactComponent<ComponentArgs<PanelData>>(
  ({ data, setStateValue }) => (
    <Panel data={data} call={call} onSession={(session) => setStateValue("session", session)} />
  ),
  talkCss,
);
