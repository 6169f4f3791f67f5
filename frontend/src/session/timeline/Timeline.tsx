import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import { clock, offset, took } from "../../lib/format";
import { LANES, type LaneId, type Span, type ViewProps } from "../model/types";
import { moved, ticks, toTime, toX, type Window, zoomed } from "./scale";

const ROW = 18;
const AXIS = 22;
const LABEL = 96;
const NAMES: Record<LaneId, string> = {
  caller: "Caller",
  transcription: "STT",
  nodes: "Nodes",
  tools: "Tools",
  model: "Model",
  synthesis: "TTS",
  agent: "Agent",
  interruptions: "Issues",
  questions: "Questions",
  operator: "Operator",
  room: "Room events",
};
const TONES: Record<Span["tone"], string> = {
  plain: "--st-blue-color",
  good: "--st-green-color",
  busy: "--st-primary-color",
  ask: "--st-orange-color",
  bad: "--st-red-color",
  muted: "--st-gray-color",
};

interface Place {
  readonly lane: LaneId;
  readonly top: number;
  readonly rows: number;
}

/** All that happened on one clock. */
export function Timeline({
  model,
  moment,
  onMoment,
  now,
}: ViewProps & { readonly now: () => number }): ReactElement {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(600);
  const [chosen, choose] = useState<Window | null>(null);
  const [hovered, hover] = useState<{ span: Span; x: number; y: number } | null>(null);
  const [lane, setLane] = useState(0);
  const end = model.open ? Math.max(model.to, now()) : model.to;
  const all = { from: model.from, to: Math.max(end, model.from + 1_000) };
  const window_ = chosen ?? all;
  const places = useMemo(() => placesOf(model.spans), [model.spans]);
  const last = places.at(-1);
  const height = AXIS + (last ? last.top + last.rows * ROW : 0) + 6;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const look = new ResizeObserver(() => setWidth(Math.max(120, element.clientWidth - LABEL)));
    look.observe(element);
    return () => look.disconnect();
  }, []);

  // Drawn at each change; and on and on while an open session is followed.
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = globalThis.devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    let frame = 0;
    const draw = (): void => {
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const to = model.open && chosen === null ? Math.max(model.to, now()) : window_.to;
      const seen = { from: window_.from, to: Math.max(to, window_.from + 1_000) };
      paint(context, {
        width,
        height,
        seen,
        zero: model.from,
        places,
        spans: model.spans,
        moment,
        element,
      });
      if (model.open && moment === null && !still()) frame = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(frame);
  });

  const spanAt = (x: number, y: number): Span | null => {
    const place = places.find(({ top, rows }) => y >= AXIS + top && y < AXIS + top + rows * ROW);
    if (place === undefined) return null;
    const row = Math.floor((y - AXIS - place.top) / ROW);
    const near = 4 * ((window_.to - window_.from) / width);
    const at = toTime(window_, width, x);
    const hits = model.spans.filter(
      (span) =>
        span.lane === place.lane &&
        span.row === row &&
        span.from - near <= at &&
        (span.to ?? Number.POSITIVE_INFINITY) + near >= at,
    );
    return hits.at(-1) ?? null;
  };
  const drag = useRef<{ x: number; window: Window; moved: boolean } | null>(null);
  const inLane = model.spans.filter((span) => span.lane === places[lane]?.lane);
  const said = moment === null ? "live" : offset(moment - model.from);

  const keys = (event: React.KeyboardEvent): void => {
    const middle = moment ?? (window_.from + window_.to) / 2;
    const at = moment ?? end;
    switch (event.key) {
      case "+":
      case "=":
        choose(zoomed(window_, all, 0.5, middle));
        break;
      case "-":
        choose(zoomed(window_, all, 2, middle));
        break;
      case "0":
        choose(null);
        break;
      case "ArrowDown":
        setLane(Math.min(places.length - 1, lane + 1));
        break;
      case "ArrowUp":
        setLane(Math.max(0, lane - 1));
        break;
      case "ArrowRight":
        onMoment(inLane.find((span) => span.from > at + 0.001)?.from ?? null);
        break;
      case "ArrowLeft":
        onMoment(inLane.filter((span) => span.from < at - 0.001).at(-1)?.from ?? model.from);
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  return (
    <div className="tl">
      <div className="sb-row">
        <button type="button" className="sb-button" onClick={() => choose(null)}>
          Show all
        </button>
        <button
          type="button"
          className="sb-button"
          aria-label="Zoom in"
          onClick={() =>
            choose(zoomed(window_, all, 0.5, moment ?? (window_.from + window_.to) / 2))
          }
        >
          +
        </button>
        <button
          type="button"
          className="sb-button"
          aria-label="Zoom out"
          onClick={() => choose(zoomed(window_, all, 2, moment ?? (window_.from + window_.to) / 2))}
        >
          −
        </button>
        <span className="sb-hint">
          {offset(window_.from - model.from)} to {offset(window_.to - model.from)}
        </span>
      </div>
      <div
        ref={box}
        className="tl-box"
        style={{ blockSize: height }}
        role="slider"
        aria-label="Timeline"
        aria-valuemin={0}
        aria-valuemax={Math.round(all.to - all.from)}
        aria-valuenow={Math.round((moment ?? all.to) - all.from)}
        aria-valuetext={`${said}, lane ${NAMES[places[lane]?.lane ?? "room"]}`}
        tabIndex={0}
        onKeyDown={keys}
      >
        <div className="tl-names" aria-hidden="true">
          {places.map((place, index) => (
            <span
              key={place.lane}
              data-chosen={index === lane}
              style={{ insetBlockStart: AXIS + place.top, blockSize: place.rows * ROW }}
            >
              {NAMES[place.lane]}
            </span>
          ))}
        </div>
        <canvas
          ref={canvas}
          style={{ inlineSize: width, blockSize: height }}
          onWheel={(event) => {
            const { offsetX } = event.nativeEvent;
            if (event.ctrlKey || event.metaKey)
              choose(
                zoomed(
                  window_,
                  all,
                  event.deltaY > 0 ? 1.2 : 1 / 1.2,
                  toTime(window_, width, offsetX),
                ),
              );
            else if (event.shiftKey)
              choose(moved(window_, all, ((window_.to - window_.from) * event.deltaY) / 900));
          }}
          onPointerDown={(event) => {
            drag.current = { x: event.clientX, window: window_, moved: false };
            event.currentTarget.setPointerCapture(event.pointerId);
          }}
          onPointerMove={(event) => {
            const { offsetX, offsetY } = event.nativeEvent;
            const dragged = drag.current;
            if (dragged !== null) {
              const by = dragged.x - event.clientX;
              if (Math.abs(by) > 3) dragged.moved = true;
              const span = dragged.window.to - dragged.window.from;
              if (dragged.moved) choose(moved(dragged.window, all, (by / width) * span));
              return;
            }
            const span = spanAt(offsetX, offsetY);
            hover(span === null ? null : { span, x: offsetX, y: offsetY });
          }}
          onPointerUp={(event) => {
            const dragged = drag.current;
            drag.current = null;
            if (dragged?.moved) return;
            const { offsetX, offsetY } = event.nativeEvent;
            onMoment(spanAt(offsetX, offsetY)?.from ?? toTime(window_, width, offsetX));
          }}
          onPointerLeave={() => hover(null)}
        />
        {hovered !== null && <Tip {...hovered} zero={model.from} width={width} />}
      </div>
    </div>
  );
}

function Tip({
  span,
  x,
  y,
  zero,
  width,
}: {
  readonly span: Span;
  readonly x: number;
  readonly y: number;
  readonly zero: number;
  readonly width: number;
}): ReactElement {
  const left = Math.min(x + LABEL + 12, width + LABEL - 240);
  return (
    <div className="tl-tip" style={{ insetInlineStart: left, insetBlockStart: y + 16 }}>
      <strong>{span.label.slice(0, 200)}</strong>
      <p>
        {offset(span.from - zero)} ({clock(span.from)})
        {span.to !== null && span.to > span.from && ` · ${took(span.to - span.from)}`}
      </p>
      {span.detail.map(([name, value]) => (
        <p key={name}>
          {name}: {value.slice(0, 200)}
        </p>
      ))}
    </div>
  );
}

function placesOf(spans: readonly Span[]): Place[] {
  const rows = new Map<LaneId, number>();
  for (const { lane, row } of spans) rows.set(lane, Math.max(rows.get(lane) ?? 0, row + 1));
  const places: Place[] = [];
  let top = 0;
  for (const lane of LANES) {
    const count = Math.min(rows.get(lane) ?? 0, 6);
    if (count === 0) continue;
    places.push({ lane, top, rows: count });
    top += count * ROW + 4;
  }
  return places;
}

function still(): boolean {
  return (
    document.visibilityState === "hidden" ||
    globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches === true
  );
}

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly seen: Window;
  readonly zero: number;
  readonly places: readonly Place[];
  readonly spans: readonly Span[];
  readonly moment: number | null;
  readonly element: HTMLCanvasElement;
}

function paint(context: CanvasRenderingContext2D, picture: Picture): void {
  const { width, height, seen, zero, places, spans, moment, element } = picture;
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim() || "#888";
  const text = colour("--st-text-color");
  context.clearRect(0, 0, width, height);
  context.font = `11px ${style.fontFamily}`;
  context.textBaseline = "middle";
  for (const at of ticks(seen, zero, Math.max(2, width / 90))) {
    const x = Math.round(toX(seen, width, at)) + 0.5;
    context.globalAlpha = 0.12;
    context.fillStyle = text;
    context.fillRect(x, AXIS - 4, 1, height);
    context.globalAlpha = 0.65;
    context.fillText(offset(at - zero), x + 3, AXIS / 2);
  }
  const tops = new Map(places.map((place) => [place.lane, place] as const));
  /** The last pixel drawn in each row: what would fall on it entirely is left out. */
  const drawn = new Map<string, number>();
  for (const span of spans) {
    const place = tops.get(span.lane);
    if (place === undefined || span.row >= place.rows) continue;
    const to = span.to ?? seen.to;
    if (to < seen.from || span.from > seen.to) continue;
    const x = toX(seen, width, Math.max(span.from, seen.from));
    const right = Math.max(x + 2, toX(seen, width, Math.min(to, seen.to)));
    const key = `${span.lane}${span.row}`;
    if (right <= (drawn.get(key) ?? -1) + 0.5 && span.tone !== "bad") continue;
    drawn.set(key, right);
    const y = AXIS + place.top + span.row * ROW + 2;
    context.fillStyle = colour(TONES[span.tone]);
    if (span.to === span.from) {
      context.globalAlpha = 1;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + 5, y + 7);
      context.lineTo(x, y + 14);
      context.lineTo(x - 5, y + 7);
      context.fill();
      continue;
    }
    context.globalAlpha = span.to === null ? 0.55 : 0.8;
    context.beginPath();
    context.roundRect(x, y, right - x, ROW - 4, 3);
    context.fill();
    if (right - x > 34) {
      context.globalAlpha = 1;
      context.fillStyle = "#fff";
      context.save();
      context.beginPath();
      context.rect(x, y, right - x - 4, ROW);
      context.clip();
      context.fillText(span.label.slice(0, 80), x + 5, y + 7.5);
      context.restore();
    }
  }
  context.globalAlpha = 1;
  const at = moment ?? seen.to;
  const x = Math.min(Math.round(toX(seen, width, at)), width - 1);
  if (x >= 0) {
    context.fillStyle = colour(moment === null ? "--st-green-color" : "--st-red-color");
    context.fillRect(x - 0.75, 0, 1.5, height);
  }
}
