import { describe, expect, test } from "vitest";
import { toPosition } from "@tidemark/core";
import { type AppendUnit, type BatchState, type EventRow, type KnownEvent, planBatch } from "@tidemark/core/spi";

const EMPTY: BatchState = { head: () => 0, known: () => undefined };

describe("planBatch", () => {
  test("lets a unit see what the units before it append", () => {
    const plan = planBatch([unit("a", ["1", "2"], 0), unit("a", ["3"], 2), unit("a", ["4"], 2)], EMPTY, sameContent);
    expect(plan.rows.map((row) => [row.event.id, row.version])).toEqual([
      ["1", 1],
      ["2", 2],
      ["3", 3],
    ]);
    expect(plan.heads).toMatchObject([{ ref: ref("a"), bucket: 0, version: 3 }]);
    expect(plan.outcomes((row) => toPosition(row + 10))).toEqual([
      { kind: "appended", parts: [{ first: 1, last: 2, positions: [10n, 11n] }] },
      { kind: "appended", parts: [{ first: 3, last: 3, positions: [12n] }] },
      { kind: "conflict", part: 0, actual: 3 },
    ]);
  });

  test("recognises a repetition within the batch, before it looks at the expected version", () => {
    const plan = planBatch([unit("a", ["1"], 0), unit("a", ["1"], 0)], EMPTY, sameContent);
    expect(plan.rows).toHaveLength(1);
    expect(plan.outcomes(() => toPosition(7))).toEqual([
      { kind: "appended", parts: [{ first: 1, last: 1, positions: [7n] }] },
      { kind: "repeated", parts: [{ first: 1, last: 1, positions: [7n] }] },
    ]);
  });

  test.each([
    ["in another order", ["2", "1"]],
    ["with a gap", ["1", "3"]],
    ["partly", ["3", "4"]],
  ])("refuses known ids %s", (_name, ids) => {
    const plan = planBatch([unit("a", ids)], stored("a", ["1", "2", "3"]), sameContent);
    expect(plan.rows).toEqual([]);
    expect(plan.outcomes(fails)).toEqual([
      { kind: "known-ids", part: 0, ids: ids.filter((id) => ["1", "2", "3"].includes(id)) },
    ]);
  });

  test("refuses known ids with other content", () => {
    const [unitWithOtherData] = [unit("a", ["1"], "any", "other")];
    const plan = planBatch([unitWithOtherData], stored("a", ["1"]), sameContent);
    expect(plan.outcomes(fails)).toEqual([{ kind: "known-ids", part: 0, ids: ["1"] }]);
  });

  test("leaves known ids out where that is asked for, and refuses other content all the same", () => {
    const skipping = { ...unit("a", ["2", "4"]), known: "skip" as const };
    const plan = planBatch([skipping], stored("a", ["1", "2", "3"]), sameContent);
    expect(plan.outcomes(() => toPosition(40))).toEqual([
      { kind: "appended", parts: [{ first: 2, last: 4, positions: [2n, 40n] }] },
    ]);
    const other = { ...unit("a", ["2", "4"], "any", "other"), known: "skip" as const };
    expect(planBatch([other], stored("a", ["1", "2"]), sameContent).outcomes(fails)).toEqual([
      { kind: "known-ids", part: 0, ids: ["2"] },
    ]);
  });

  test("writes nothing of a unit one part of which is refused, and names that part", () => {
    const two: AppendUnit = { known: "refuse", parts: [...unit("a", ["1"]).parts, ...unit("b", ["2"], 5).parts] };
    const plan = planBatch([two, unit("a", ["3"], "none")], EMPTY, sameContent);
    expect(plan.outcomes(() => toPosition(1))).toEqual([
      { kind: "conflict", part: 1, actual: 0 },
      { kind: "appended", parts: [{ first: 1, last: 1, positions: [1n] }] },
    ]);
  });

  test("leaves a unit with a locked aggregate undecided", () => {
    const state: BatchState = { ...EMPTY, busy: (aggregate) => aggregate.id === "b" };
    const plan = planBatch([unit("a", ["1"]), unit("b", ["2"])], state, sameContent);
    expect(plan.rows.map((row) => row.ref.id)).toEqual(["a"]);
    expect(plan.outcomes(() => toPosition(1))[1]).toEqual({ kind: "busy", part: 0 });
  });
});

function ref(id: string): { context: string; type: string; id: string } {
  return { context: "default", type: "account", id };
}

function event(id: string, data: string): EventRow {
  return { id, type: "deposited", data, metadata: "{}", occurredOn: 0 };
}

function unit(
  id: string,
  ids: string[],
  expected: AppendUnit["parts"][number]["expected"] = "any",
  data = "same",
): AppendUnit {
  return {
    known: "refuse",
    parts: [{ ref: ref(id), bucket: 0, expected, events: ids.map((eventId) => event(eventId, data)) }],
  };
}

function stored(id: string, ids: string[]): BatchState {
  const known = new Map(
    ids.map((eventId, index): [string, KnownEvent] => [
      eventId,
      { type: "deposited", data: "same", version: index + 1, position: toPosition(index + 1) },
    ]),
  );
  return {
    head: (aggregate) => (aggregate.id === id ? ids.length : 0),
    known: (aggregate, eventId) => (aggregate.id === id ? known.get(eventId) : undefined),
  };
}

function sameContent(a: { type: string; data: string }, b: { type: string; data: string }): boolean {
  return a.type === b.type && a.data === b.data;
}

function fails(): never {
  throw new Error("No row was planned.");
}
