import { type ReactElement, useSyncExternalStore } from "react";
import { duration, plain } from "../lib/format";
import { isOpen, store } from "./store";
import { useNow } from "./useNow";

/** On every other page: that a call goes on, and whether the microphone is open. */
export function Dock({ onOpen }: { readonly onOpen: () => void }): ReactElement | null {
  const view = useSyncExternalStore(store.subscribe, store.read);
  const open = isOpen(view);
  const now = useNow(open);
  if (!open) return null;
  const hot = view.mode === "voice" && !view.muted;
  return (
    <section className="dock" aria-label="Ongoing call" data-hot={hot}>
      <p className="dock-line" role="status">
        <span className="dock-dot" aria-hidden="true" />
        {hot ? "Microphone on" : view.mode === "voice" ? "Microphone muted" : "Ongoing chat"}
      </p>
      <p className="dock-who">
        {plain(view.session?.agent ?? "")}
        {view.joinedAt !== null && ` · ${duration((now - view.joinedAt) / 1000)}`}
      </p>
      <div className="talk-row">
        {view.mode === "voice" && (
          <button
            type="button"
            className="talk-button"
            aria-pressed={view.muted}
            onClick={() => void store.control?.mute(!view.muted)}
          >
            {view.muted ? "Unmute" : "Mute"}
          </button>
        )}
        <button type="button" className="talk-button" onClick={() => void store.control?.end()}>
          End call
        </button>
        <button type="button" className="talk-button" onClick={onOpen}>
          Open call
        </button>
      </div>
    </section>
  );
}
