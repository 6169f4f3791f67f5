/** What waits while the order is held, because somebody points at a row. */
export interface Waiting {
  readonly added: number;
  readonly removed: number;
  readonly moved: boolean;
}

/** What a reader would see change if `shown` became `wanted`; null if nothing. */
export function waiting(shown: readonly string[], wanted: readonly string[]): Waiting | null {
  if (shown === wanted) return null;
  const before = new Set(shown);
  const after = new Set(wanted);
  const kept = wanted.filter((name) => before.has(name));
  const stayed = shown.filter((name) => after.has(name));
  const added = wanted.length - kept.length;
  const removed = shown.length - stayed.length;
  const moved = kept.some((name, index) => name !== stayed[index]);
  return added || removed || moved ? { added, removed, moved } : null;
}

/** "2 new, 1 gone" for the button that lets the changes in. */
export function waitingText({ added, removed, moved }: Waiting): string {
  const parts = [
    added > 0 ? `${added} new` : "",
    removed > 0 ? `${removed} closed` : "",
    moved && added + removed === 0 ? "Order changed" : "",
  ];
  return parts.filter(Boolean).join(", ");
}

/**
 * How far to scroll so that what the reader looks at stays where it is: the row at `top`
 * (an index into `before`), or the next one that is still there.
 */
export function shiftOf(before: readonly string[], after: readonly string[], top: number): number {
  const positions = new Map(after.map((name, index) => [name, index]));
  for (let index = top; index < before.length; index += 1) {
    const now = positions.get(before[index] ?? "");
    if (now !== undefined) return now - index;
  }
  return 0;
}
