import { describe, expect, expectTypeOf, test } from "vitest";
import { defineProjector, isTidemarkError, type RecordedEvent } from "@tidemark/core";

interface Events {
  readonly opened: { readonly owner: string };
  readonly deposited: { readonly amount: number };
}

describe("defineProjector", () => {
  test("puts the handled types into the scope and keeps the rest of it", () => {
    const projector = defineProjector<unknown, Events>({
      name: "balances",
      scope: { aggregateTypes: ["account"] },
      handlers: {
        opened: (event) => expectTypeOf(event.data.owner).toBeString(),
        deposited: (event) => expectTypeOf(event.data.amount).toBeNumber(),
      },
    });
    expect(projector.scope).toEqual({ aggregateTypes: ["account"], eventTypes: ["opened", "deposited"] });
    expect(projector.key).toEqual({ name: "balances", version: 1 });
    expect(projector.start).toBe("beginning");
  });

  test("tells the events of a map apart by their type", () => {
    defineProjector<unknown, Events>({
      name: "all",
      handle: (event) => {
        if (event.type === "opened") expectTypeOf(event.data).toEqualTypeOf<Events["opened"]>();
        else expectTypeOf(event).toEqualTypeOf<RecordedEvent<"deposited", Events["deposited"]>>();
      },
    });
  });

  const handle = (): undefined => undefined;
  test.each([
    ["no handler at all", { name: "x" }],
    ["two ways to handle", { name: "x", handle, handleBatch: handle }],
    ["an empty map of handlers", { name: "x", handlers: {} }],
    ["event types beside handlers", { name: "x", scope: { eventTypes: ["a"] }, handlers: { a: handle } }],
    ["an empty name", { name: "", handle }],
    ["a name with NUL", { name: "a\0b", handle }],
    ["version 0", { name: "x", version: 0, handle }],
    ["no attempts", { name: "x", failure: { attempts: 0 }, handle }],
    ["an unknown policy", { name: "x", failure: { then: "explode" }, handle }],
  ])("refuses %s", (_name, spec) => {
    const error = thrownBy(() => defineProjector(spec as unknown as Parameters<typeof defineProjector>[0]));
    expect(isTidemarkError(error, "INVALID_ARGUMENT")).toBe(true);
  });
});

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
