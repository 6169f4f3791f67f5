import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Probe } from "../../src/probe/Probe";
import { chosenIn } from "../../src/probe/probe";

const pair = (change: object) => ({
  type: "candidate-pair",
  state: "succeeded",
  nominated: true,
  localCandidateId: "L",
  currentRoundTripTime: 0.012,
  ...change,
});

const report = (change: object, local: object = { candidateType: "host", protocol: "udp" }) =>
  new Map<string, unknown>([
    ["P", pair(change)],
    ["L", local],
  ]);

describe("the pair of candidates that carries the sound", () => {
  it("tells the way and the round trip in ms", () => {
    expect(chosenIn(report({}))).toEqual({ way: "udp", rttMs: 12 });
    expect(chosenIn(report({}, { candidateType: "host", protocol: "tcp" }))?.way).toBe("tcp");
    expect(chosenIn(report({}, { candidateType: "relay", protocol: "udp" }))?.way).toBe("relay");
    expect(chosenIn(report({}, { candidateType: "prflx" }))?.way).toBe("unknown");
  });

  it("is not known before it answered", () => {
    expect(chosenIn(new Map())).toBeNull();
    expect(chosenIn(report({ state: "in-progress" }))).toBeNull();
    expect(chosenIn(report({ nominated: false }))).toBeNull();
    expect(chosenIn(report({ currentRoundTripTime: undefined }))).toBeNull();
  });

  it("is told even where the local candidate is not", () => {
    const found = chosenIn(new Map([["P", pair({})]]));
    expect(found).toEqual({ way: "unknown", rttMs: 12 });
  });
});

describe("the check of a browser that has no WebRTC", () => {
  afterEach(() => {
    cleanup();
    vi.unstubAllGlobals();
  });

  it("joins nothing, tells once for each ticket, and says that it is done", async () => {
    vi.stubGlobal("RTCPeerConnection", undefined);
    const onFound = vi.fn();
    const onAsk = vi.fn();
    const draw = (name: string) => (
      <Probe
        data={{ ticket: name ? { url: "ws://x", token: "t", name } : null }}
        onAsk={onAsk}
        onFound={onFound}
      />
    );
    const { rerender } = render(draw(""));
    screen.getByRole("button", { name: "Check browser" }).click();
    expect(onAsk).toHaveBeenCalledOnce();
    expect(onFound).not.toHaveBeenCalled();
    await act(async () => rerender(draw("a")));
    await vi.waitFor(() => expect(onFound).toHaveBeenCalledOnce());
    expect(onFound.mock.calls[0]?.[0]).toMatchObject({ webrtc: false, failure: "media" });
    await act(async () => rerender(draw("a")));
    expect(onFound).toHaveBeenCalledOnce();
    const again = screen.getByRole("button", { name: "Check browser again" });
    expect(again.hasAttribute("disabled")).toBe(false);
  });
});
