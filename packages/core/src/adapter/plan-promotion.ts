import type { ConsumerRow, Promotion } from "./consumers.ts";

export type PromotionPlan =
  /**
   * `from` becomes neither active nor enabled, `to` both. All segments of both get new tokens and lose their leases.
   * Completions of `from` are copied to `to`, into its generation.
   */
  | { readonly kind: "write"; readonly from: ConsumerRow; readonly to: ConsumerRow }
  /** Change nothing. */
  | { readonly kind: "answer"; readonly outcome: Exclude<Promotion, "done"> };

/** Decides what `promote` does, for every adapter. Both rows are read with all segments of both versions locked. */
export function planPromotion(from: ConsumerRow | undefined, to: ConsumerRow | undefined): PromotionPlan {
  if (from?.kind === undefined || to?.kind === undefined) return { kind: "answer", outcome: "unknown" };
  if (!from.active) return { kind: "answer", outcome: "inactive" };
  if (from.layout !== undefined || to.layout !== undefined) return { kind: "answer", outcome: "segments" };
  if (from.segments.length !== to.segments.length) return { kind: "answer", outcome: "segments" };
  if (!standAlike(from, to)) return { kind: "answer", outcome: "positions" };
  return { kind: "write", from, to };
}

function standAlike(from: ConsumerRow, to: ConsumerRow): boolean {
  return from.segments.every(({ position }, index) => position === to.segments[index]?.position);
}
