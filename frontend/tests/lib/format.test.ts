import { describe, expect, it } from "vitest";
import { countText, duration, plain } from "../../src/lib/format";

describe("values as people read them", () => {
  // The same table stands in tests/unit/dashboard/test_format.py.
  it.each([
    [-3, "0s"],
    [0.9, "0s"],
    [59, "59s"],
    [60, "1m 00s"],
    [724, "12m 04s"],
    [3_599, "59m 59s"],
    [3_600, "1h 00m"],
    [11_220, "3h 07m"],
    [86_399, "23h 59m"],
    [86_400, "1d 0h"],
    [190_800, "2d 5h"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it("counts", () => {
    expect(countText(1, "room")).toBe("1 room");
    expect(countText(0, "room")).toBe("0 rooms");
    expect(countText(12_345, "room")).toBe("12,345 rooms");
  });

  it("shows what a name hides", () => {
    expect(plain("a\u202eb\u0000c\u2066")).toBe("a\ufffdb\ufffdc\ufffd");
    expect(plain("Zoë 李 🙂 <b>")).toBe("Zoë 李 🙂 <b>");
  });
});
