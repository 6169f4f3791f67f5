/** Texts as `dashboard/ui/format.py` writes them: "42s", "12m 04s", "3h 07m", "2d 5h". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [d, h, m, s] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  if (d > 0) return `${d}d ${h}h`;
  if (h > 0) return `${h}h ${two(m)}m`;
  if (m > 0) return `${m}m ${two(s)}s`;
  return `${s}s`;
}

/** "1,204 rooms", "1 room". */
export function countText(count: number, one: string): string {
  return `${number(count)} ${one}${count === 1 ? "" : "s"}`;
}

export function number(value: number): string {
  return value.toLocaleString("en-US");
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

// Control characters and those that turn the writing direction: a name must not disguise itself.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from outside with what cannot be seen made visible. */
export function plain(text: string): string {
  return text.replace(HIDDEN, "\ufffd");
}
