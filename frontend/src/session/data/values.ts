import type { Json } from "../../lib/json";
import type { StateValues } from "../model/types";

const KEPT = 200;

/** States' values: those that came with their event, the others fetched when somebody looks. */
export class SavedValues implements StateValues {
  readonly #kept = new Map<string, Json>();
  readonly #asked = new Map<string, Promise<Json>>();
  readonly #address: (id: string) => string;

  constructor(address: (id: string) => string) {
    this.#address = address;
  }

  put(id: string, values: Json): void {
    this.#kept.delete(id);
    this.#kept.set(id, values);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > KEPT && !oldest.done) this.#kept.delete(oldest.value);
  }

  peek(id: string): Json | undefined {
    return this.#kept.get(id);
  }

  load(id: string): Promise<Json> {
    const known = this.#kept.get(id);
    if (known !== undefined) return Promise.resolve(known);
    const asked = this.#asked.get(id) ?? this.#fetch(id);
    this.#asked.set(id, asked);
    return asked;
  }

  async #fetch(id: string): Promise<Json> {
    try {
      const answer = await fetch(this.#address(id)).catch(() => null);
      if (!answer?.ok) throw new Error("The state is unavailable. Try again.");
      const body = (await answer.json()) as { values: Json };
      this.put(id, body.values);
      return body.values;
    } finally {
      this.#asked.delete(id);
    }
  }
}
