import { reactComponent } from "./mount";
import type { ComponentArgs } from "./streamlit";
import { Dock } from "./talk/Dock";
import talkCss from "./talk/talk.css?inline";

/** In the menu of every page, while a call goes on. It loads nothing of LiveKit's. */
export default reactComponent<ComponentArgs<{ readonly href: string }>>(
  ({ data }) => <Dock href={data.href} />,
  talkCss,
);
