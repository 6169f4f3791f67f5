import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keepBack } from "../src/back";

/** A browser's history, as far as pages use it. */
class Browser {
  readonly entries = ["/"];
  readonly listeners: (() => void)[] = [];
  at = 0;
  readonly history = {
    pushState: (_: unknown, __: string, url: string) => {
      this.entries.length = ++this.at;
      this.entries.push(url);
    },
    replaceState: (_: unknown, __: string, url: string) => {
      this.entries[this.at] = url;
    },
  };
  get location() {
    const url = new URL(this.entries[this.at] ?? "/", "http://host");
    return { pathname: url.pathname, href: url.href };
  }
  addEventListener(_: string, heard: () => void) {
    this.listeners.push(heard);
  }
  go(url: string) {
    this.history.pushState({}, "", url);
  }
  back() {
    this.at -= 1;
    for (const heard of this.listeners) heard();
  }
}

function open(url: string): Browser {
  const browser = new Browser();
  browser.entries[0] = url;
  keepBack(browser as unknown as Window & typeof globalThis);
  return browser;
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("keepBack", () => {
  it("leaves the old page's entry as it was when another page is gone to", () => {
    const browser = open("/analytics?period=30d");
    browser.go("/analytics?mark=x");
    browser.go("/sessions?mark=x");
    expect(browser.entries).toEqual(["/analytics?period=30d", "/sessions?mark=x"]);
  });

  it("also when the other page has no query", () => {
    const browser = open("/sessions?q=a");
    browser.go("/sessions");
    browser.go("/rooms");
    expect(browser.entries).toEqual(["/sessions?q=a", "/rooms"]);
  });

  it("keeps an entry for each view of a page", () => {
    const browser = open("/sessions");
    browser.go("/sessions?q=a");
    browser.go("/sessions?q=b");
    browser.go("/rooms");
    expect(browser.entries).toEqual(["/sessions", "/sessions?q=a", "/sessions?q=b", "/rooms"]);
  });

  it("takes a view that was looked at for one", () => {
    const browser = open("/sessions?q=a");
    browser.go("/sessions");
    vi.advanceTimersByTime(5_000);
    browser.go("/rooms");
    expect(browser.entries).toEqual(["/sessions?q=a", "/sessions", "/rooms"]);
  });

  it("begins anew after Back", () => {
    const browser = open("/sessions");
    browser.go("/sessions?q=a");
    browser.back();
    browser.go("/rooms?q=a");
    expect(browser.entries).toEqual(["/sessions", "/rooms?q=a"]);
  });

  it("is there once, however often it is asked for", () => {
    const browser = open("/sessions?q=a");
    keepBack(browser as unknown as Window & typeof globalThis);
    browser.go("/sessions");
    browser.go("/rooms");
    expect(browser.entries).toEqual(["/sessions?q=a", "/rooms"]);
  });
});
