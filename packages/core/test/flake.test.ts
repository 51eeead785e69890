import { describe, expect, test } from "vitest";
import { createFlakeGenerator, flakeTime } from "@tidemark/core";

const NODE = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);

describe("flake ids", () => {
  test("are 22 base-62 digits", () => {
    expect(createFlakeGenerator()()).toMatch(/^[0-9A-Za-z]{22}$/);
  });

  test("strictly increase by bytes, also more than 65 536 in one millisecond", () => {
    const next = createFlakeGenerator({ clock: () => 1_700_000_000_000, node: NODE });
    let last = next();
    for (let count = 0; count < 200_000; count++) {
      const id = next();
      if (!(last < id)) throw new Error(`${id} does not come after ${last}`);
      last = id;
    }
    expect(flakeTime(last)?.getTime()).toBe(1_700_000_000_003);
  });

  test("strictly increase when the clock steps back", () => {
    const times = [5_000, 4_000, 4_000, 1, 5_001];
    const next = createFlakeGenerator({ clock: () => times.shift() ?? 6_000, node: NODE });
    const ids = Array.from({ length: 6 }, next);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(6);
  });

  test("order by time across generators", () => {
    const early = createFlakeGenerator({ clock: () => 1_000 });
    const late = createFlakeGenerator({ clock: () => 1_001 });
    expect(early() < late()).toBe(true);
  });

  test("carry their time, up to the last millisecond that they can", () => {
    for (const time of [0, 1, 1_763_700_000_123, 2 ** 48 - 1]) {
      const id = createFlakeGenerator({ clock: () => time, node: NODE })();
      expect(flakeTime(id)?.getTime()).toBe(time);
    }
    expect(flakeTime("not a flake")).toBeUndefined();
  });

  test("of two processes differ in the same millisecond", () => {
    const clock = (): number => 1_000;
    expect(createFlakeGenerator({ clock })()).not.toBe(createFlakeGenerator({ clock })());
  });

  test("refuse a node that is not eight bytes", () => {
    expect(() => createFlakeGenerator({ node: new Uint8Array(7) })).toThrow(RangeError);
  });
});
