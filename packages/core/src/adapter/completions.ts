import type { Position } from "../values/position.ts";
import type { SegmentKey } from "./consumers.ts";
import type { Operation } from "./operation.ts";

/** Positions above an observer's checkpoint that it has completed already. Inside a transaction that is fenced. */
export interface CompletionPort {
  /** Adds `positions` and forgets those at or below `checkpoint`. */
  record(key: SegmentKey, positions: readonly Position[], checkpoint: Position, op: Operation): Promise<void>;
  /** Ascending. */
  list(key: SegmentKey, op: Operation): Promise<readonly Position[]>;
}
