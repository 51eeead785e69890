import { type Position, START } from "../values/position.ts";
import type { ConsumerRow, Layout } from "./consumers.ts";

export type LayoutRequestPlan =
  /** Write this in the place of what was asked for, and answer `done`. */
  | { readonly kind: "write"; readonly layout: Layout | undefined }
  /** Change nothing. */
  | { readonly kind: "answer"; readonly outcome: "done" | "other" | "unknown" };

/** Decides what `requestLayout` does, for every adapter. `row` is read with the consumer's row locked. */
export function planLayoutRequest(row: ConsumerRow | undefined, layout: Layout | undefined): LayoutRequestPlan {
  if (row?.kind === undefined) return { kind: "answer", outcome: "unknown" };
  if (layout === undefined || row.layout === undefined) return { kind: "write", layout };
  return { kind: "answer", outcome: row.layout.segments === layout.segments ? "done" : "other" };
}

/** The generation that takes the place of the stored one, and of the request with it: segments that are all alike. */
export interface NextGeneration {
  readonly generation: number;
  /** The stored one, whose rows go. */
  readonly replaced: number;
  /** How many: from 0 on. */
  readonly segments: number;
  readonly position: Position;
  readonly committedAt: number | undefined;
  /**
   * Above the tokens of all segments that are stored: what the new ones begin with where tokens are counted segment by
   * segment. An adapter that has one sequence for all tokens takes the next one of that.
   */
  readonly token: bigint;
}

export type LayoutPlan =
  /** Write the generation, and answer `done`. */
  | { readonly kind: "write"; readonly next: NextGeneration }
  | {
      readonly kind: "answer";
      readonly outcome: "held" | "not-drained" | "none" | "unknown";
      /** To be written in the place of what was asked for, because a segment has gone past its position. */
      readonly request: Layout | undefined;
    };

/**
 * Decides what `applyLayout` does, for every adapter. An adapter writes a generation only where it has read `row` with the
 * consumer's row and all of its segments locked; before that, the answer may be asked for to learn whether to lock them.
 */
export function planLayout(row: ConsumerRow | undefined): LayoutPlan {
  if (row?.kind === undefined) return { kind: "answer", outcome: "unknown", request: undefined };
  const { layout, generation, segments } = row;
  if (layout === undefined) return { kind: "answer", outcome: "none", request: undefined };
  const position = segments.reduce((most, segment) => max(most, segment.position ?? START), layout.position);
  const request = position > layout.position ? { segments: layout.segments, position } : undefined;
  if (segments.some((segment) => segment.position !== position)) {
    return { kind: "answer", outcome: "not-drained", request };
  }
  if (segments.some(({ held }) => held)) return { kind: "answer", outcome: "held", request };

  const committed = segments.flatMap(({ committedAt }) => committedAt ?? []);
  const next: NextGeneration = {
    generation: generation + 1,
    replaced: generation,
    segments: layout.segments,
    position,
    committedAt: committed.length === 0 ? undefined : Math.max(...committed),
    token: segments.reduce((most, { token }) => max(most, token), 0n) + 1n,
  };
  return { kind: "write", next };
}

function max<T extends bigint>(a: T, b: T): T {
  return a > b ? a : b;
}
