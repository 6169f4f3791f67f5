import { Listen, type ListenData } from "./listen/Listen";
import listenCss from "./listen/listen.css?inline";
import { reactComponent } from "./mount";
import type { ComponentArgs } from "./streamlit";
import talkCss from "./talk/talk.css?inline";

/** Listening in on a room. Triggers: `ask`, for a token; `person`, to join as one. */
export default reactComponent<ComponentArgs<ListenData>>(
  ({ data, setTriggerValue }) => (
    <Listen
      data={data}
      onAsk={() => setTriggerValue("ask", Date.now())}
      onPerson={() => setTriggerValue("person", Date.now())}
    />
  ),
  talkCss + listenCss,
);
