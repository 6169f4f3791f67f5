import { type KeyboardEvent, type RefObject, useEffect } from "react";
import { number } from "../lib/format";
import { HEALTH_WORDS, HealthIcon } from "./health";
import { HEALTHS } from "./row";
import { type Projection, toggleHealth, type View } from "./view";

interface ToolbarProps {
  readonly view: View;
  /** How many rooms there are of each health; null while no rooms are known. */
  readonly found: Pick<Projection, "counts" | "searched"> | null;
  readonly search: RefObject<HTMLInputElement | null>;
  readonly onView: (view: View) => void;
  /** Enter in the search field: on to the rows. */
  readonly onDown: () => void;
}

export function Toolbar({ view, found, search, onView, onDown }: ToolbarProps) {
  useSlash(search);
  const onKeyDown = (event: KeyboardEvent) => {
    // Streamlit has shortcuts of its own on the document; letters typed here are not for them.
    event.nativeEvent.stopPropagation();
    if (event.key === "Escape" && view.q !== "") onView({ ...view, q: "" });
    else if (event.key === "ArrowDown" || event.key === "Enter") onDown();
    else return;
    event.preventDefault();
  };
  return (
    <div className="toolbar">
      <div className="search">
        <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
          <circle cx="7" cy="7" r="4.4" />
          <path d="m10.4 10.4 3.2 3.2" />
        </svg>
        <input
          ref={search}
          type="text"
          value={view.q}
          maxLength={200}
          spellCheck={false}
          autoComplete="off"
          placeholder="Search rooms, agents, sessions"
          aria-label="Search rooms by name, agent or session ID"
          onChange={(event) => onView({ ...view, q: event.target.value })}
          onKeyDown={onKeyDown}
        />
        {view.q === "" ? (
          <kbd>/</kbd>
        ) : (
          <button
            type="button"
            className="clear"
            aria-label="Clear search"
            onClick={() => {
              onView({ ...view, q: "" });
              search.current?.focus();
            }}
          >
            <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
              <path d="m4.5 4.5 7 7m0-7-7 7" />
            </svg>
          </button>
        )}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset brings a frame, a group does not */}
      <div className="chips" role="group" aria-label="Filter by health">
        <button
          type="button"
          className="chip"
          aria-pressed={view.health.length === 0}
          onClick={() => onView({ ...view, health: [] })}
        >
          All <Count of={found?.searched} />
        </button>
        {HEALTHS.map((health) => (
          <button
            key={health}
            type="button"
            className="chip"
            aria-pressed={view.health.includes(health)}
            data-none={found?.counts[health] === 0 || undefined}
            onClick={() => onView(toggleHealth(view, health))}
          >
            <HealthIcon health={health} />
            {HEALTH_WORDS[health]}
            <Count of={found?.counts[health]} />
          </button>
        ))}
      </div>
    </div>
  );
}

function Count({ of }: { readonly of: number | undefined }) {
  return <span className="count">{of === undefined ? "" : number(of)}</span>;
}

/** "/" anywhere on the page leads to the search, unless somebody is typing. */
function useSlash(search: RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.defaultPrevented || isEditable(event.composedPath()[0])) return;
      event.preventDefault();
      search.current?.focus();
      search.current?.select();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [search]);
}

function isEditable(target: EventTarget | undefined): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches("input, textarea, select"))
  );
}
