import { describe, expect, it } from "vitest";
import { microphoneProblem, refusal } from "../../src/talk/problems";

function failure(name: string): DOMException {
  return new DOMException("no", name);
}

describe("microphoneProblem", () => {
  it.each([
    ["NotAllowedError", /blocked/],
    ["NotFoundError", /No microphone/],
    ["NotReadableError", /is unavailable/],
  ])("says of %s what it is, and offers to write instead", (name, title) => {
    const problem = microphoneProblem(failure(name));
    expect(problem.title).toMatch(title);
    expect(problem.ways).toEqual(["again", "write"]);
  });

  it("has words for what is no error at all", () => {
    expect(microphoneProblem(undefined).title).not.toBe("");
  });
});

describe("refusal", () => {
  it("says what our problem+json says", async () => {
    const body = { title: "LiveKit is away", detail: "It did not answer.", hint: "See System." };
    const problem = await refusal(Response.json(body, { status: 503 }));
    expect(problem.title).toBe("LiveKit is away");
    expect(problem.text).toBe("It did not answer. See System.");
  });

  it.each(["<html>", "null", "[1]", '{"title": 7}'])("does with %s of a proxy", async (body) => {
    const problem = await refusal(new Response(body, { status: 502 }));
    expect(problem.title).toBe("The session was not created");
    expect(problem.text).toContain("502");
  });
});
