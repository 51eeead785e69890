import { describe, expect, test } from "vitest";
import { isTidemarkError, isTransient, TidemarkError, TransientError } from "@tidemark/core";

describe("isTidemarkError", () => {
  test("recognises an error of another copy of the package by its shape", () => {
    const foreign = Object.assign(new Error("x"), {
      code: "CLOSED",
      details: {},
      [Symbol.for("tidemark.error")]: true,
    });
    expect(isTidemarkError(foreign, "CLOSED")).toBe(true);
    expect(isTidemarkError(foreign, "ABORTED")).toBe(false);
  });

  test("is not fooled by a driver's error with a code", () => {
    expect(isTidemarkError(Object.assign(new Error("x"), { code: "CLOSED" }))).toBe(false);
    expect(isTidemarkError(undefined)).toBe(false);
  });
});

describe("isTransient", () => {
  test("walks the chain of causes, as query builders wrap", () => {
    const own = new TidemarkError("UNAVAILABLE", "gone", { adapter: "x" });
    expect(isTransient(new Error("query failed", { cause: new Error("again", { cause: own }) }))).toBe(true);
  });

  test("knows what a handler says itself", () => {
    expect(isTransient(new TransientError("the mail server is down"))).toBe(true);
  });

  test("is false for refusals, unknown errors and cycles of causes", () => {
    expect(isTransient(new TidemarkError("CLOSED", "closed", {}))).toBe(false);
    const loop = new Error("loop");
    loop.cause = loop;
    expect(isTransient(loop)).toBe(false);
    expect(isTransient("text")).toBe(false);
  });
});
