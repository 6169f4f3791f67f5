import type { ReactElement } from "react";
import type { Problem, WayOn } from "./store";

const WORDS: Record<WayOn, string> = {
  again: "Try again",
  write: "Switch to text",
  back: "Rejoin call",
  sound: "Enable sound",
  end: "End session",
};

/** What is wrong, and what can be done about it. */
export function Notice({
  problem,
  onWay,
}: {
  readonly problem: Problem;
  readonly onWay: (way: WayOn) => void;
}): ReactElement {
  return (
    <div className="talk-notice" role="alert">
      <strong>{problem.title}</strong>
      <p>{problem.text}</p>
      <div className="talk-row">
        {problem.ways.map((way) => (
          <button key={way} type="button" className="talk-button" onClick={() => onWay(way)}>
            {WORDS[way]}
          </button>
        ))}
      </div>
    </div>
  );
}
