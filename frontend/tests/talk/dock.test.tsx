import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { Dock } from "../../src/talk/Dock";
import { NO_CALL, store } from "../../src/talk/store";

const SESSION = { id: "ses_1", roomName: "r", agent: "pm-agent", expiresAt: null };

afterEach(() => {
  cleanup();
  act(() => store.set(NO_CALL));
  store.control = null;
});

it("shows nothing while there is no call, and nothing after one", () => {
  const { container } = render(<Dock onOpen={() => undefined} />);
  expect(container.innerHTML).toBe("");
  act(() => store.set({ phase: "ended", session: SESSION }));
  expect(container.innerHTML).toBe("");
});

it("says that the microphone is open, mutes it and ends the call", () => {
  const control = { mute: vi.fn(async () => undefined), end: vi.fn(async () => undefined) };
  store.control = control;
  const open = vi.fn();
  render(<Dock onOpen={open} />);
  act(() => store.set({ phase: "talking", session: SESSION, joinedAt: Date.now() }));
  expect(screen.getByRole("status").textContent).toContain("Microphone on");
  fireEvent.click(screen.getByRole("button", { name: "Mute" }));
  expect(control.mute).toHaveBeenCalledWith(true);
  act(() => store.set({ muted: true }));
  expect(screen.getByRole("status").textContent).toContain("Microphone muted");
  fireEvent.click(screen.getByRole("button", { name: "Open call" }));
  expect(open).toHaveBeenCalledOnce();
  fireEvent.click(screen.getByRole("button", { name: "End call" }));
  expect(control.end).toHaveBeenCalledOnce();
});

it("shows a hostile agent's name as text", () => {
  render(<Dock onOpen={() => undefined} />);
  const agent = "<img src=x onerror=alert(1)>\u202e";
  act(() => store.set({ phase: "talking", session: { ...SESSION, agent } }));
  expect(document.querySelector("img")).toBeNull();
  expect(screen.getByText(/<img src=x/).textContent).not.toContain("\u202e");
});
