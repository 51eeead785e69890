import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { vectorClock } from "@tidemark/core";
import { planSnapshot, type SnapshotRow, type SnapshotState } from "@tidemark/core/spi";

const { compare, stringify, version } = vectorClock;

describe("planSnapshot", () => {
  test("stores the first one without an ancestor", () => {
    expect(plan([], row("a:1"))).toMatchObject({
      kind: "store",
      change: { row: { ancestor: undefined }, isHead: true, dominated: [] },
    });
  });

  test("takes the single head for the ancestor, when the new one is after it", () => {
    expect(plan(["a:1"], row("a:2"))).toMatchObject({ change: { row: { ancestor: "a:1" }, dominated: ["a:1"] } });
    expect(plan(["a:1"], row("b:1"))).toMatchObject({ change: { row: { ancestor: undefined }, dominated: [] } });
    expect(plan(["a:2"], row("a:1"))).toMatchObject({ change: { row: { ancestor: undefined }, isHead: false } });
  });

  test("takes the ancestor that is given, stored or not", () => {
    expect(plan(["a:1"], row("a:2", "b:7"))).toMatchObject({ change: { row: { ancestor: "b:7" } } });
    expect(plan(["a:1"], row("a:2", ""))).toMatchObject({ change: { row: { ancestor: "" } } });
    expect(plan(["a:2", "b:1"], row("a:2;b:1", "a:1"))).toMatchObject({
      change: { row: { ancestor: "a:1" }, isHead: true, dominated: ["a:2", "b:1"] },
    });
  });

  test("refuses one without an ancestor when there are siblings", () => {
    expect(plan(["a:2", "b:1"], row("a:2;b:1"))).toEqual({ kind: "no-ancestor", heads: ["a:2", "b:1"] });
  });

  test("takes the empty vector, which is after nothing, for made from none, siblings or not", () => {
    expect(plan(["a:2", "b:1"], row(""))).toMatchObject({
      change: { row: { ancestor: undefined }, isHead: false, dominated: [] },
    });
  });

  test("changes nothing for what is stored, and refuses another state, siblings or not", () => {
    const stored = row("a:1", undefined, "{}");
    const state: SnapshotState = { stored, heads: ["a:2", "b:1"] };
    expect(planSnapshot(state, { ...stored, snapshotId: "another" }, same)).toEqual({ kind: "unchanged" });
    expect(planSnapshot(state, { ...stored, state: '{"n":1}' }, same)).toEqual({ kind: "other-state" });
  });

  test("keeps the snapshots that no other one's vector is after, in whatever order they come", () => {
    const vector = fc
      .tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 }), fc.nat({ max: 3 }))
      .map(([a, b, c]) => stringify({ a, b, c }));
    fc.assert(
      fc.property(fc.array(vector, { maxLength: 20 }), (vectors) => {
        const stored = new Map<string, SnapshotRow>();
        let heads: readonly string[] = [];
        for (const given of vectors) {
          const planned = planSnapshot({ stored: stored.get(given), heads }, row(given, ""), same);
          expect(planned.kind).toBe(stored.has(given) ? "unchanged" : "store");
          if (planned.kind === "store") {
            const { change } = planned;
            expect(heads).toEqual(expect.arrayContaining([...change.dominated]));
            stored.set(given, change.row);
            heads = [
              ...heads.filter((head) => !change.dominated.includes(head)),
              ...(change.isHead ? [given] : []),
            ].sort();
          }
          const all = [...stored.keys()];
          expect(heads).toEqual(all.filter((a) => !all.some((b) => compare(b, a) === "after")).sort());
        }
      }),
      { numRuns: 300 },
    );
  });
});

function plan(heads: readonly string[], given: SnapshotRow): ReturnType<typeof planSnapshot> {
  return planSnapshot({ stored: undefined, heads }, given, same);
}

function same(stored: string, given: string): boolean {
  return stored === given;
}

function row(vector: string, ancestor?: string, state = "{}"): SnapshotRow {
  return {
    vector,
    snapshotId: "s",
    version: version(vector),
    ancestor,
    lastEventId: undefined,
    lastEventAt: undefined,
    state,
  };
}
