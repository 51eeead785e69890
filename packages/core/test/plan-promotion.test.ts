import { describe, expect, test } from "vitest";
import { toPosition } from "@tidemark/core";
import { type ConsumerRow, planPromotion } from "@tidemark/core/spi";

describe("planPromotion", () => {
  test("puts a version in the place of the active one where their segments stand at equal positions", () => {
    const [from, to] = [row(1, [3, 5], { active: true }), row(2, [3, 5], { generation: 4, enabled: false })];
    expect(planPromotion(from, to)).toEqual({ kind: "write", from, to });
  });

  test("promotes past leases, which it ends", () => {
    const held = row(1, [3], { active: true });
    const from = { ...held, segments: held.segments.map((segment) => ({ ...segment, held: true })) };
    expect(planPromotion(from, row(2, [3])).kind).toBe("write");
  });

  const active = row(1, [3, 5], { active: true });
  test.each([
    ["of one that is not stored", undefined, row(2, [3, 5]), "unknown"],
    ["to one that is not stored", active, undefined, "unknown"],
    ["to one that is not declared", active, row(2, [3, 5], { kind: undefined }), "unknown"],
    ["of one that is not active", row(1, [3, 5]), row(2, [3, 5]), "inactive"],
    ["to one of other segments", active, row(2, [3]), "segments"],
    ["to one that is on its way to other segments", active, row(2, [3, 5], asked()), "segments"],
    ["of one that is on its way to other segments", { ...active, ...asked() }, row(2, [3, 5]), "segments"],
    ["to one that is behind", active, row(2, [3, 4]), "positions"],
    ["to one that is ahead", active, row(2, [4, 5]), "positions"],
  ])("refuses a promotion %s", (_name, from, to, outcome) => {
    expect(planPromotion(from, to)).toEqual({ kind: "answer", outcome });
  });
});

function asked(): Pick<ConsumerRow, "layout"> {
  return { layout: { segments: 4, position: toPosition(9) } };
}

function row(version: number, positions: readonly number[], given: Partial<ConsumerRow> = {}): ConsumerRow {
  return {
    key: { name: "orders", version },
    kind: "projector",
    start: "log-start",
    logId: "log",
    enabled: true,
    active: false,
    generation: 1,
    layout: undefined,
    segments: positions.map((position, segment) => ({
      segment,
      position: toPosition(position),
      committedAt: undefined,
      owner: undefined,
      token: 1n,
      held: false,
      error: undefined,
    })),
    ...given,
  };
}
