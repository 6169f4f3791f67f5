import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LiveConnection } from "../../src/lib/live/connection";
import { Badge } from "../../src/questions/Badge";
import { FakeServer } from "../fakeServer";

const row = (session: string, action: string, at: string) => ({
  id: `${session}/q`,
  session_id: session,
  action,
  asked_at: at,
});
const LATER = {
  ...row("ses_b", "create_tickets", "2026-01-01T10:00:05Z"),
  user_id: "ana",
};
const FIRST = row("ses_a", "<img src=x onerror=alert(1)>", "2026-01-01T10:00:00Z");

describe("the badge of open questions", () => {
  let server: FakeServer;
  const onOpen = vi.fn();
  const onRefused = vi.fn();
  const draw = () =>
    render(
      <Badge
        ticket="x"
        onOpen={onOpen}
        onRefused={onRefused}
        connection={new LiveConnection(server.open)}
      />,
    );
  const send = (kind: "snapshot" | "change", body: object) =>
    act(() => server.last.send(kind, { topic: "questions", at: "x", ...body }));

  beforeEach(() => {
    server = new FakeServer();
    onOpen.mockReset();
    onRefused.mockReset();
  });
  afterEach(cleanup);

  it("is not there while nothing is asked, and stays empty without a connection", () => {
    const { container } = draw();
    expect(container.querySelector("section")?.hidden).toBe(true);
    act(() => server.last.accept());
    send("snapshot", { rows: [] });
    expect(container.querySelector("section")?.hidden).toBe(true);
  });

  it("counts what is asked, the oldest first, and leads there", () => {
    draw();
    act(() => server.last.accept());
    send("snapshot", { rows: [LATER] });
    expect(screen.getByRole("status").textContent).toBe("1 pending question");
    send("change", { upsert: [FIRST], remove: [] });
    expect(screen.getByRole("status").textContent).toBe("2 pending questions");
    const [one, two] = screen.getAllByRole("button");
    expect([one?.textContent, two?.textContent]).toEqual([FIRST.action, "create_tickets · ana"]);
    one?.click();
    expect(onOpen).toHaveBeenCalledWith("ses_a");
    send("change", { upsert: [], remove: ["ses_a/q", "ses_b/q"] });
    expect(screen.queryAllByRole("button")).toEqual([]);
  });

  it("shows a few of many, and takes nothing that is not a question", () => {
    draw();
    act(() => server.last.accept());
    const many = Array.from({ length: 7 }, (_, at) =>
      row(`ses_${at}`, "", `2026-01-01T10:0${at}:00Z`),
    );
    send("snapshot", { rows: [...many, null, { id: 1 }, "x"] });
    expect(screen.getAllByRole("button", { name: "Question" })).toHaveLength(3);
    expect(screen.getByText("4 more on the overview")).toBeTruthy();
    act(() => server.last.send("change", { topic: "overview", at: "x", upsert: [LATER] }));
    expect(screen.getByRole("status").textContent).toContain("7 pending questions");
  });

  it("asks for a fresh ticket when its own is refused", () => {
    vi.useFakeTimers();
    draw();
    act(() => server.last.refuse());
    act(() => void vi.advanceTimersByTime(10));
    expect(onRefused).toHaveBeenCalled();
    vi.useRealTimers();
  });
});
