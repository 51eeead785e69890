import type { Position } from "@tidemark/core";
import type { ConsumerRow, SegmentKey } from "@tidemark/core/spi";
import type { FenceHeld } from "./gated-adapter.ts";
import type { Process } from "./scheduler.ts";

/** Is told what was really done to the database, and collects what must not be. */
export interface Witness {
  readonly violations: string[];
  readonly clock: () => number;
  violation(what: string): void;
  declared(consumer: string, row: ConsumerRow): void;
  entered(process: Process, key: SegmentKey, token: bigint, ms: number): void;
  renewed(process: Process, key: SegmentKey, token: bigint, ms: number): void;
  left(key: SegmentKey, token: bigint): void;
  /** Called right before the commit of a transaction whose fence held. */
  fenceCommits(process: Process, fence: FenceHeld): void;
  /** A transaction that commits has removed a letter, for which it had read that it is to be removed. */
  gaveUp(consumer: string, position: Position): void;
  claimed(process: Process, consumer: string, key: string, ms: number): void;
  claimReleased(process: Process, consumer: string, key: string): void;
  claimCompleted(consumer: string, key: string): void;
}
