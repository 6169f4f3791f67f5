import { describe, expect, it } from "vitest";
import { shiftOf, waiting, waitingText } from "../../src/rooms/order";

describe("what waits while the order is held", () => {
  it("is counted", () => {
    expect(waiting(["a", "b", "c"], ["x", "c", "b", "y"])).toEqual({
      added: 2,
      removed: 1,
      moved: true,
    });
    expect(waiting(["a", "b"], ["a", "b"])).toBeNull();
    expect(waiting([], [])).toBeNull();
  });

  it("is no move when only rows come and go", () => {
    expect(waiting(["a", "b", "c"], ["a", "x", "c"])?.moved).toBe(false);
  });

  it("is said in words", () => {
    expect(waitingText({ added: 2, removed: 1, moved: true })).toBe("2 new, 1 closed");
    expect(waitingText({ added: 0, removed: 0, moved: true })).toBe("Order changed");
  });
});

describe("how far to scroll", () => {
  it("follows the row at the top", () => {
    expect(shiftOf(["a", "b", "c"], ["x", "y", "a", "b", "c"], 1)).toBe(2);
    expect(shiftOf(["a", "b", "c"], ["b", "c"], 1)).toBe(-1);
  });

  it("follows the next row when that one is gone, and stays when all are", () => {
    expect(shiftOf(["a", "b", "c"], ["x", "a", "c"], 1)).toBe(0);
    expect(shiftOf(["a", "b", "c"], ["x", "y", "z", "c"], 1)).toBe(1);
    expect(shiftOf(["a", "b"], ["x"], 0)).toBe(0);
  });
});
