import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTidemarkError, type VectorClock, vectorClock } from "@tidemark/core";

const { compare, increment, merge, parse, stringify, version } = vectorClock;

const node = fc.oneof(
  fc.constantFrom("", "a", "b", "c", "__proto__", "constructor", "é", "\u{1F30A}", "\uFF5E"),
  fc.string({ unit: "grapheme", maxLength: 5 }).map((text) => text.replace(/[:;\0]/g, "-")),
);
const clock = fc
  .array(fc.tuple(node, fc.nat({ max: 5 })), { maxLength: 5 })
  .map((pairs): VectorClock => Object.fromEntries(pairs));

describe("text", () => {
  test.each([
    ["", {}],
    ["a:1;b:2", { a: 1, b: 2 }],
    ["c:3;a:2;b:1", { a: 2, b: 1, c: 3 }],
    [":1", { "": 1 }],
    [";a:1", { a: 1 }],
    ["a:1;", { a: 1 }],
    ["a:0;b:2", { b: 2 }],
  ])("%j is read as %j", (text, expected) => {
    expect(parse(text)).toEqual(expected);
    expect(Object.keys(parse(text)).sort()).toEqual(Object.keys(expected).sort());
  });

  test.each([
    [{}, ""],
    [{ b: 2, a: 1 }, "a:1;b:2"],
    [{ "": 1 }, ":1"],
    [{ a: 0, b: 1 }, "b:1"],
    // In UTF-16 the wave sorts before the tilde of full width, in UTF-8 behind it.
    [{ "\u{1F30A}": 1, "\uFF5E": 1, Z: 1, a: 1 }, "Z:1;a:1;\uFF5E:1;\u{1F30A}:1"],
  ])("%j is written as %j", (clock, expected) => {
    expect(stringify(clock)).toBe(expected);
  });

  test.each(["a", "a:", "a:x", "a:1.5", "a:-1", "a:1:2", "host:8080:1", "a:1;a:2", "a:9007199254740993", "a: 1"])(
    "%j is refused",
    (text) => {
      expect(codeOf(() => parse(text))).toBe("INVALID_ARGUMENT");
    },
  );

  test.each([[[1, 2]], [new Map([["a", 1]])], [new Date(0)], [null]])("%o is no clock", (clock) => {
    expect(codeOf(() => stringify(clock as unknown as VectorClock))).toBe("INVALID_ARGUMENT");
  });

  test.each(["host:1", "a;b", "a\0", "\uD800"])("a node %j, which could not be read again, is refused", (name) => {
    expect(codeOf(() => increment({}, name))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => stringify({ [name]: 1 }))).toBe("INVALID_ARGUMENT");
  });

  test("what is written is read again, and is written the same", () => {
    fc.assert(
      fc.property(clock, (given) => {
        const text = stringify(given);
        expect(stringify(parse(text))).toBe(text);
        expect(compare(given, text)).toBe("equal");
      }),
    );
  });
});

test("incrementing leaves the given clock as it is", () => {
  const given = { a: 1 };
  expect(increment(given, "a")).toEqual({ a: 2 });
  expect(increment(given, "b")).toEqual({ a: 1, b: 1 });
  expect(given).toEqual({ a: 1 });
  expect(stringify(increment(increment("", "__proto__"), "__proto__"))).toBe("__proto__:2");
});

test.each([
  ["a:1", "a:1", "equal"],
  ["", "a:1", "before"],
  ["a:2;b:1", "a:1;b:1", "after"],
  ["a:2", "b:1", "concurrent"],
  ["a:0", "", "equal"],
  ["toString:1", "", "after"],
] as const)("%j stands to %j as %s", (a, b, order) => {
  expect(compare(a, b)).toBe(order);
});

test("a merged clock is the least that has seen all", () => {
  fc.assert(
    fc.property(clock, clock, (a, b) => {
      const merged = merge(a, b);
      for (const one of [a, b]) expect(["after", "equal"]).toContain(compare(merged, one));
      expect(version(merged)).toBeLessThanOrEqual(version(a) + version(b));
      expect(stringify(merge(b, a, b))).toBe(stringify(merged));
    }),
  );
});

test("comparing is the other way round from the other side", () => {
  const opposite = { equal: "equal", before: "after", after: "before", concurrent: "concurrent" };
  fc.assert(
    fc.property(clock, clock, (a, b) => {
      expect(compare(b, a)).toBe(opposite[compare(a, b)]);
    }),
  );
});

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    return isTidemarkError(error) ? error.code : String(error);
  }
  return undefined;
}
