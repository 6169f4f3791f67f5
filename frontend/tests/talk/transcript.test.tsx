import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { NO_CALL } from "../../src/talk/store";
import { Transcript } from "../../src/talk/Transcript";

afterEach(cleanup);

const LINE = { id: "1", who: "agent", text: "<b>Hello</b>", interim: false, at: 0 } as const;

it("shows what was said as text, and marks what may still change", () => {
  const lines = [LINE, { ...LINE, id: "2", who: "me", text: "Yes", interim: true } as const];
  render(<Transcript view={{ ...NO_CALL, lines }} onWrite={null} />);
  expect(screen.getByText("<b>Hello</b>")).toBeTruthy();
  const mine = screen.getByText("Yes").closest("p");
  expect(mine?.dataset.who).toBe("me");
  expect(mine?.dataset.interim).toBe("true");
  expect(screen.queryByRole("textbox")).toBeNull();
});

it("keeps what was written until it was sent", async () => {
  const write = vi.fn<(text: string) => Promise<void>>().mockRejectedValueOnce(new Error("away"));
  render(<Transcript view={NO_CALL} onWrite={write} />);
  const field = screen.getByRole<HTMLInputElement>("textbox", { name: "Message to the agent" });
  fireEvent.change(field, { target: { value: "  hi  " } });
  await act(async () => fireEvent.click(screen.getByRole("button", { name: "Send message" })));
  expect(write).toHaveBeenLastCalledWith("hi");
  expect(field.value).toBe("  hi  ");
  expect(screen.getByRole("alert").textContent).toContain("not sent");
  write.mockResolvedValueOnce(undefined);
  await act(async () => fireEvent.click(screen.getByRole("button", { name: "Send message" })));
  expect(field.value).toBe("");
});

it("does not send nothing", () => {
  const write = vi.fn(async () => undefined);
  render(<Transcript view={NO_CALL} onWrite={write} />);
  fireEvent.click(screen.getByRole("button", { name: "Send message" }));
  expect(write).not.toHaveBeenCalled();
});
