import type { ReactElement } from "react";
import { took } from "../../lib/format";
import { turnAt } from "../model/at";
import type { AnswerPart, Turn, ViewProps } from "../model/types";

const PARTS: Record<AnswerPart, string> = {
  transcription: "Speech-to-text",
  end_of_turn: "End of turn",
  graph: "Graph (first token)",
  speech: "Text-to-speech",
};
const SHOWN = 120;

/** How fast each answer came, the slowest one click away; and where the chosen one's time went. */
export function Answers({ model, moment, onMoment }: ViewProps): ReactElement | null {
  const answered = model.turns.filter((turn) => turn.answer?.totalMs != null);
  if (answered.length === 0) return null;
  const total = (turn: Turn): number => turn.answer?.totalMs ?? 0;
  const slowest = answered.reduce((a, b) => (total(b) > total(a) ? b : a));
  const sorted = answered.map(total).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const index = turnAt(model, moment);
  const chosen = answered.find((turn) => turn.index === index) ?? answered.at(-1);
  return (
    <section className="tl-answers" aria-label="Response latency">
      <div className="sb-row">
        <strong>Response latency</strong>
        <span className="sb-hint">p50 {took(median)}</span>
        <button
          type="button"
          className="sb-button"
          title="Go to the slowest turn"
          onClick={() => onMoment(slowest.from)}
        >
          max {took(total(slowest))}
        </button>
      </div>
      <div className="tl-bars">
        {answered.slice(-SHOWN).map((turn) => (
          <button
            key={turn.index}
            type="button"
            aria-label={`Turn ${turn.index + 1}: ${took(total(turn))}`}
            aria-current={turn === chosen}
            title={`${took(total(turn))} · ${turn.callerText.slice(0, 80)}`}
            onClick={() => onMoment(turn.from)}
          >
            <span style={{ blockSize: `${Math.max(4, (total(turn) / total(slowest)) * 100)}%` }} />
          </button>
        ))}
      </div>
      {chosen !== undefined && <Waterfall turn={chosen} median={median} model={model} />}
    </section>
  );
}

/** Where the time of one answer went, from the end of speech to its first sound. */
export function Waterfall({
  turn,
  median,
  model,
}: {
  readonly turn: Turn;
  readonly median: number;
  readonly model: ViewProps["model"];
}): ReactElement | null {
  const { answer } = turn;
  if (answer?.totalMs == null) return null;
  const total = Math.max(answer.totalMs, 1);
  const left = (at: number): string => `${Math.max(0, ((at - answer.from) / total) * 100)}%`;
  const share = (ms: number): string => `${Math.min(100, Math.max(0.6, (ms / total) * 100))}%`;
  const graph = answer.parts.find(({ part }) => part === "graph");
  const visits = graph
    ? model.visits.filter((visit) => visit.turn === turn.index && visit.to !== null).slice(0, 12)
    : [];
  return (
    <div className="tl-fall">
      <p className="sb-hint" dir="auto">
        “{turn.callerText.slice(0, 120)}” · {took(answer.totalMs)}
        {median > 0 && ` (${(answer.totalMs / median).toFixed(1)}× median)`}
      </p>
      <dl>
        {answer.parts.map(({ part, from, ms }) => (
          <div key={part}>
            <dt>{PARTS[part]}</dt>
            <dd>
              <span
                className="tl-part"
                data-part={part}
                style={{ insetInlineStart: left(from), inlineSize: share(ms) }}
              />
              <span className="tl-ms">{took(ms)}</span>
            </dd>
          </div>
        ))}
        {visits.map((visit) => (
          <div key={visit.id} className="tl-sub">
            <dt>{visit.node}</dt>
            <dd>
              <span className="tl-ms">{took((visit.to ?? visit.from) - visit.from)}</span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
