import { keepBack } from "./back";
import { reactComponent } from "./mount";
import askedCss from "./questions/asked.css?inline";
import { Badge } from "./questions/Badge";
import type { ComponentArgs } from "./streamlit";

interface BadgeData {
  readonly ticket: string;
}

keepBack();

/** On every page: what graphs ask of a human. Triggers: `open` (a session's id), `ticket`. */
export default reactComponent<ComponentArgs<BadgeData>>(
  ({ data, setTriggerValue }) => (
    <Badge
      ticket={data.ticket}
      onOpen={(sessionId) => setTriggerValue("open", sessionId)}
      onRefused={() => setTriggerValue("ticket", Date.now())}
    />
  ),
  askedCss,
);
