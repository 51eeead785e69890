import { describe, expect, test } from "vitest";
import { createFlakeGenerator, flakeTime } from "@tidemark/core";

const NODE = new Uint8Array([1, 2, 3, 4, 5, 6]);
const NOW = 1_763_700_000_123;
const EPOCH = Date.UTC(2020, 0, 1, 7);

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
    const times = [5_000, 4_000, 4_000, 1, 5_001].map((time) => NOW + time);
    const next = createFlakeGenerator({ clock: () => times.shift() ?? NOW + 6_000, node: NODE });
    const ids = Array.from({ length: 6 }, next);
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(6);
  });

  test("order by time across generators", () => {
    const early = createFlakeGenerator({ clock: () => NOW });
    const late = createFlakeGenerator({ clock: () => NOW + 1 });
    expect(early() < late()).toBe(true);
  });

  test("carry their time, from 2020 up to the last millisecond that a date has", () => {
    for (const time of [EPOCH, EPOCH + 1, NOW, 2 ** 48, 8.64e15]) {
      const id = createFlakeGenerator({ clock: () => time, node: NODE })();
      expect(flakeTime(id)?.getTime()).toBe(time);
    }
    for (const odd of ["not a flake", "z".repeat(22)]) expect(flakeTime(odd)).toBeUndefined();
  });

  test("are those of the beginning of 2020 by a clock that is behind it, and increase", () => {
    const next = createFlakeGenerator({ clock: () => 1_000, node: NODE });
    const ids = [next(), next()];
    expect(ids.toSorted()).toEqual(ids);
    expect(ids.map((id) => flakeTime(id)?.getTime())).toEqual([EPOCH, EPOCH]);
  });

  test("are in one order with those that consequent makes", () => {
    // By node-flakes 2.1.0, which consequent takes.
    const theirs = "000019uOiatuixwyXODHma";
    const [before, after] = [NOW - 1, NOW + 1].map((time) => createFlakeGenerator({ clock: () => time })());
    expect(flakeTime(theirs)?.getTime()).toBe(NOW);
    const ids = [after, theirs, before].map(String);
    expect(ids.toSorted()).toEqual([before, theirs, after]);
  });

  test("hold the time, a counter and the node, from the highest bit", () => {
    const next = createFlakeGenerator({ clock: () => EPOCH + 5, node: NODE });
    for (let count = 0; count < 70_000; count++) {
      const [time, counter] = [5 + Math.floor(count / 65_536), count % 65_536];
      expect(numberOf(next())).toBe((BigInt(time) << 64n) | (BigInt(counter) << 48n) | 0x010203040506n);
    }
  });

  test("of two processes differ in the same millisecond", () => {
    const clock = (): number => NOW;
    expect(createFlakeGenerator({ clock })()).not.toBe(createFlakeGenerator({ clock })());
  });

  test("refuse a node that is not six bytes", () => {
    expect(() => createFlakeGenerator({ node: new Uint8Array(7) })).toThrow(RangeError);
  });
});

function numberOf(id: string): bigint {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return Array.from(id).reduce((sum, digit) => sum * 62n + BigInt(digits.indexOf(digit)), 0n);
}
