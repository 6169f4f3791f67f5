import { type KeyboardEvent, useCallback } from "react";
import { ROW_PX } from "./useWindow";

interface Keys {
  readonly names: readonly string[];
  readonly active: string | null;
  /** Moves the active row and brings it into sight. */
  readonly go: (index: number) => void;
  readonly open: (name: string, inNewTab: boolean) => void;
  readonly select: (name: string, range: boolean) => void;
  readonly selectAll: () => void;
  readonly clear: () => void;
  readonly onKey: () => void;
}

/** The keys of the grid: arrows, Home, End, pages, Space, Enter, Ctrl+A, Escape. */
export function useKeys(keys: Keys): (event: KeyboardEvent) => void {
  const { names, active, go, open, select, selectAll, clear, onKey } = keys;
  return useCallback(
    (event) => {
      const grid = event.currentTarget as HTMLElement;
      if (event.target !== grid || event.altKey) return;
      const index = active === null ? -1 : names.indexOf(active);
      const page = Math.max(1, Math.floor(grid.clientHeight / ROW_PX) - 2);
      const steps: Record<string, number> = {
        ArrowDown: index + 1,
        ArrowUp: index < 0 ? 0 : index - 1,
        PageDown: index + page,
        PageUp: index - page,
        Home: 0,
        End: names.length - 1,
      };
      const control = event.ctrlKey || event.metaKey;
      const step = steps[event.key];
      if (step !== undefined) {
        const to = Math.min(names.length - 1, Math.max(0, step));
        const name = names[to];
        if (name === undefined) return;
        if (event.shiftKey) select(name, true);
        go(to);
      } else if (event.key === " " && active !== null) select(active, event.shiftKey);
      else if (event.key === "Enter" && active !== null) open(active, control);
      else if (event.key === "a" && control) selectAll();
      else if (event.key === "Escape") clear();
      else return;
      event.preventDefault();
      onKey();
    },
    [names, active, go, open, select, selectAll, clear, onKey],
  );
}
