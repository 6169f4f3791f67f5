import type { ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { instances } from "./instances";
import type { ComponentArgs } from "./streamlit";
import { inTurns } from "./turns";

/** A React component as a Streamlit component, with its own style sheet beside it. */
export function reactComponent<Args extends ComponentArgs<unknown>>(
  draw: (args: Args) => ReactElement,
  css: string,
) {
  return instances<Args>(({ parentElement }) => {
    const style = document.createElement("style");
    style.textContent = css;
    const host = document.createElement("div");
    parentElement.append(style, host);
    const root = createRoot(host);
    return {
      update: (args) => root.render(draw(inTurns(args))),
      destroy: () => {
        root.unmount();
        style.remove();
        host.remove();
      },
    };
  });
}
