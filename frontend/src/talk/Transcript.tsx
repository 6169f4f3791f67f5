import { type ReactElement, useLayoutEffect, useRef, useState } from "react";
import type { CallView } from "./store";

const NEAR_PX = 48;

/** What both said, live, and a field to write in. It follows unless the reader looks back. */
export function Transcript({
  view,
  onWrite,
}: {
  readonly view: CallView;
  readonly onWrite: ((text: string) => Promise<void>) | null;
}): ReactElement {
  const list = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are what it follows
  useLayoutEffect(() => {
    const box = list.current;
    if (box !== null && following.current) box.scrollTop = box.scrollHeight;
  }, [view.lines]);
  return (
    <>
      <div
        ref={list}
        className="talk-lines"
        role="log"
        aria-label="Transcript"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keys
        tabIndex={0}
        onScroll={({ currentTarget: box }) => {
          following.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
        }}
      >
        {view.lines.length === 0 && <p className="talk-hint">The transcript appears here.</p>}
        {view.lines.map((line) => (
          <p key={line.id} className="talk-line" data-who={line.who} data-interim={line.interim}>
            <span className="talk-who">{line.who === "me" ? "You" : "Agent"}</span>
            <span dir="auto">{line.text}</span>
          </p>
        ))}
      </div>
      {onWrite !== null && <Field onWrite={onWrite} />}
    </>
  );
}

function Field({ onWrite }: { readonly onWrite: (text: string) => Promise<void> }): ReactElement {
  const [text, setText] = useState("");
  const [failed, setFailed] = useState(false);
  return (
    <form
      className="talk-row"
      onSubmit={(event) => {
        event.preventDefault();
        const said = text.trim();
        if (said === "") return;
        onWrite(said).then(
          () => {
            setText("");
            setFailed(false);
          },
          () => setFailed(true),
        );
      }}
    >
      <input
        className="talk-input"
        aria-label="Message to the agent"
        placeholder="Message to the agent"
        maxLength={4000}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit" className="talk-button">
        Send message
      </button>
      {failed && (
        <span className="talk-quality" role="alert">
          Message not sent. Try again.
        </span>
      )}
    </form>
  );
}
