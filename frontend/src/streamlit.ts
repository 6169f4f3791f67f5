/** What Streamlit 1.67 hands to a component (components v2), as far as we use it. */
export interface ComponentArgs<Data> {
  readonly data: Data;
  readonly parentElement: HTMLElement | ShadowRoot;
  readonly setStateValue: (name: string, value: unknown) => void;
  readonly setTriggerValue: (name: string, value: unknown) => void;
}

export type Cleanup = () => void;
