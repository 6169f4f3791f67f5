/** Within this time Streamlit leaves a page whose address it has changed. */
const SOON_MS = 3_000;
const DONE = Symbol.for("switchboard.back");

/**
 * Lets the Back button lead to the page as it was left.
 *
 * Streamlit 1.67 goes to another page in two steps: it pushes the new page's query onto the old page's
 * path, then the new path. Back would lead to the old page with a query that is not its own. So the
 * second step takes the place of the first.
 */
export function keepBack(browser: Window & typeof globalThis = window): void {
  const marked = browser as unknown as Record<symbol, boolean>;
  if (marked[DONE]) return;
  marked[DONE] = true;
  const { history } = browser;
  const push = history.pushState.bind(history);
  let first: { readonly path: string; readonly query: string; readonly at: number } | null = null;
  history.pushState = (state, unused, url) => {
    const here = browser.location.pathname;
    const there = new URL(String(url ?? ""), browser.location.href);
    const before = first;
    first = null;
    if (there.pathname === here) {
      first = { path: here, query: there.search, at: performance.now() };
      push(state, unused, url);
      return;
    }
    const leaves =
      before !== null &&
      before.path === here &&
      before.query === there.search &&
      performance.now() - before.at < SOON_MS;
    if (leaves) history.replaceState(state, unused, url);
    else push(state, unused, url);
  };
  browser.addEventListener("popstate", () => {
    first = null;
  });
}
