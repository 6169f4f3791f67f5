/**
 * The server's time, ticking each second, for everything that shows an age.
 *
 * A message arrives later than it was sent, so the largest difference seen is the best guess.
 */
export class ServerClock {
  #ahead: number | null = null;
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #seconds = 0;

  /** A message said that it was `at` at the server. */
  observe(at: number): void {
    const ahead = at - Date.now();
    if (this.#ahead === null || ahead > this.#ahead) this.#ahead = ahead;
    this.#seconds = this.#read();
  }

  /** A moment of this computer's clock as the server would have called it. */
  fromLocal(at: number): number {
    return at + (this.#ahead ?? 0);
  }

  /** Seconds since 1970 at the server, whole: the same until the next tick. */
  readonly seconds = (): number => this.#seconds || this.#read();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearInterval(this.#timer);
    };
  };

  #start(): void {
    this.#seconds = this.#read();
    this.#timer = setInterval(() => {
      this.#seconds = this.#read();
      for (const listener of this.#listeners) listener();
    }, 1000);
  }

  #read(): number {
    return Math.floor((Date.now() + (this.#ahead ?? 0)) / 1000);
  }
}
