import type { Cleanup } from "./streamlit";

export type MountPoint = HTMLElement | ShadowRoot;

/** What lives at one mount point for as long as Streamlit keeps the component there. */
export interface Instance<Args> {
  update(args: Args): void;
  destroy(): void;
}

/**
 * One instance per mount point, through all calls of a component.
 *
 * Streamlit 1.67 calls a component again for each new `data`, and runs the cleanup of a call
 * that a newer one overtook. So a cleanup only counts while its call is the latest, and only
 * after a pause: the next call of the same rerun then still finds the instance.
 */
export function instances<Args extends { readonly parentElement: MountPoint }>(
  create: (args: Args) => Instance<Args>,
): (args: Args) => Cleanup {
  const known = new WeakMap<MountPoint, { instance: Instance<Args>; calls: number }>();
  return (args) => {
    const parent = args.parentElement;
    const entry = known.get(parent) ?? { instance: create(args), calls: 0 };
    known.set(parent, entry);
    entry.calls += 1;
    const call = entry.calls;
    entry.instance.update(args);
    return () => {
      setTimeout(() => {
        if (entry.calls !== call || known.get(parent) !== entry) return;
        known.delete(parent);
        entry.instance.destroy();
      }, 0);
    };
  };
}
