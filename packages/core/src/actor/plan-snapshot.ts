import type { SnapshotChange, SnapshotRow, SnapshotState } from "../adapter/snapshots.ts";
import { compare } from "../values/vector-clock.ts";

export type SnapshotPlan =
  | { readonly kind: "store"; readonly change: SnapshotChange }
  /** It is stored already, with the same state. */
  | { readonly kind: "unchanged" }
  /** Another state is stored with its vector. */
  | { readonly kind: "other-state" }
  /** No ancestor was given, and each of the heads may be it. */
  | { readonly kind: "no-ancestor"; readonly heads: readonly string[] };

/**
 * Decides what storing a snapshot does: every adapter asks this function, under its lock on the actor.
 *
 * The same vector again is no change with the same state, and refused with another one. A snapshot is a head when no
 * head's vector is after its own; heads whose vectors are before its own are heads no more. Without an ancestor given,
 * it is the single head if the snapshot is after it; a snapshot that is not was made from none that is known here. Nor was
 * that of the empty vector, which is after nothing, also where there are several heads.
 * `row.ancestor` is what was given: undefined when nothing was, `""` for "made from none".
 */
export function planSnapshot(
  state: SnapshotState,
  row: SnapshotRow,
  sameState: (stored: string, given: string) => boolean,
): SnapshotPlan {
  const { stored, heads } = state;
  if (stored !== undefined) return { kind: sameState(stored.state, row.state) ? "unchanged" : "other-state" };
  if (row.ancestor === undefined && heads.length > 1 && row.vector !== "") return { kind: "no-ancestor", heads };
  const orders = heads.map((head) => ({ head, order: compare(row.vector, head) }));
  const dominated = orders.filter(({ order }) => order === "after").map(({ head }) => head);
  const isHead = !orders.some(({ order }) => order === "before");
  const ancestor = row.ancestor ?? dominated[0];
  return { kind: "store", change: { row: { ...row, ancestor }, isHead, dominated } };
}
