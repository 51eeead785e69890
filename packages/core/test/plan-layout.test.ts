import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Position, toPosition } from "@tidemark/core";
import { type ConsumerRow, type Layout, planLayout, planLayoutRequest, type SegmentRow } from "@tidemark/core/spi";

describe("planLayoutRequest", () => {
  test("writes the first request, and takes back one", () => {
    expect(planLayoutRequest(row([segment(3)]), layout(4, 9))).toEqual({ kind: "write", layout: layout(4, 9) });
    expect(planLayoutRequest(row([segment(3)], layout(4, 9)), undefined)).toEqual({ kind: "write", layout: undefined });
  });

  test("lets the request before stand, asked for again or another one", () => {
    const requested = row([segment(3)], layout(4, 9));
    expect(planLayoutRequest(requested, layout(4, 12))).toEqual({ kind: "answer", outcome: "done" });
    expect(planLayoutRequest(requested, layout(2, 9))).toEqual({ kind: "answer", outcome: "other" });
  });

  test.each([undefined, undeclared()])("knows no consumer that is not declared", (stored) => {
    expect(planLayoutRequest(stored, layout(2, 9))).toEqual({ kind: "answer", outcome: "unknown" });
    expect(planLayoutRequest(stored, undefined)).toEqual({ kind: "answer", outcome: "unknown" });
  });
});

describe("planLayout", () => {
  test("writes the next generation where every segment has stopped", () => {
    const segments = [segment(9, { token: 7n, committedAt: 100 }), segment(9, { token: 5n, committedAt: 200 })];
    expect(planLayout({ ...row(segments, layout(4, 9)), generation: 3 })).toEqual({
      kind: "write",
      next: { generation: 4, replaced: 3, segments: 4, position: 9n, committedAt: 200, token: 8n },
    });
  });

  test("knows no last commit where no segment has one", () => {
    expect(planLayout(row([segment(0)], layout(2, 0)))).toMatchObject({ next: { committedAt: undefined } });
  });

  test("answers what it has nothing to write for", () => {
    expect(planLayout(undefined)).toMatchObject({ outcome: "unknown", request: undefined });
    expect(planLayout(undeclared())).toMatchObject({ outcome: "unknown", request: undefined });
    expect(planLayout(row([segment(9)]))).toMatchObject({ outcome: "none", request: undefined });
  });

  test("waits until every segment has stopped, then until nobody holds one", () => {
    const [behind, held] = [segment(8), segment(9, { held: true })];
    expect(planLayout(row([behind, held], layout(1, 9)))).toEqual({
      kind: "answer",
      outcome: "not-drained",
      request: undefined,
    });
    expect(planLayout(row([segment(9), held], layout(1, 9)))).toEqual({
      kind: "answer",
      outcome: "held",
      request: undefined,
    });
  });

  test("takes the others along with one that has gone past the position", () => {
    const request = layout(4, 11);
    expect(planLayout(row([segment(9), segment(11)], layout(4, 9)))).toMatchObject({ outcome: "not-drained", request });
    expect(planLayout(row([segment(11, { held: true })], layout(4, 9)))).toMatchObject({ outcome: "held", request });
    expect(planLayout(row([segment(11), segment(11)], layout(4, 9)))).toMatchObject({ next: { position: 11n } });
  });

  test("loses, repeats and revives nothing, wherever the segments stand", () => {
    const anywhere = fc.record({
      position: fc.nat({ max: 3 }),
      token: fc.bigInt({ min: 0n, max: 9n }),
      held: fc.boolean(),
    });
    const positions = (rows: readonly SegmentRow[]): readonly (Position | undefined)[] =>
      rows.map(({ position }) => position);
    fc.assert(
      fc.property(fc.array(anywhere, { minLength: 1, maxLength: 4 }), fc.nat({ max: 3 }), (given, at) => {
        const segments = given.map(({ position, token, held }) => segment(position, { token, held }));
        const furthest = Math.max(at, ...given.map(({ position }) => position));
        const plan = planLayout(row(segments, layout(2, at)));
        if (plan.kind === "write") {
          expect(positions(segments)).toEqual(segments.map(() => plan.next.position));
          expect(segments.filter(({ held }) => held)).toEqual([]);
          expect(segments.filter(({ token }) => token >= plan.next.token)).toEqual([]);
          return;
        }
        expect(plan.request?.position ?? toPosition(at)).toBe(toPosition(furthest));
        // What it is told to wait for is all that it waits for.
        const stopped = segments.map((one) => ({ ...one, position: toPosition(furthest), held: false }));
        expect(planLayout(row(stopped, plan.request ?? layout(2, at))).kind).toBe("write");
      }),
      { numRuns: 300 },
    );
  });
});

function layout(segments: number, position: number): Layout {
  return { segments, position: toPosition(position) };
}

function segment(position: number, given: Partial<SegmentRow> = {}): SegmentRow {
  return {
    segment: 0,
    position: toPosition(position),
    committedAt: undefined,
    owner: undefined,
    token: 1n,
    held: false,
    error: undefined,
    ...given,
  };
}

function row(segments: readonly SegmentRow[], requested?: Layout): ConsumerRow {
  return {
    key: { name: "orders", version: 1 },
    kind: "projector",
    start: "log-start",
    logId: "log",
    enabled: true,
    active: true,
    generation: 1,
    layout: requested,
    segments: segments.map((one, index) => ({ ...one, segment: index })),
  };
}

/** One that has only failed so far. */
function undeclared(): ConsumerRow {
  return { ...row([segment(0, { position: undefined })]), kind: undefined, start: undefined, logId: undefined };
}
