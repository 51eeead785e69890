import type { SqliteStore } from "@tidemark/adapter-sqlite";
import { consume, type ConsumeResult, type DeadLetter, type Observation } from "@tidemark/core";
import { Complaint } from "./complaint.ts";
import { defineRadar } from "./radar.ts";
import { createTables } from "./read-model.ts";

/** What a consumer could not handle. */
export interface Parked {
  /** Those that it has tried. */
  readonly failed: readonly DeadLetter[];
  /** How many wait behind them. */
  readonly waiting: number;
}

/**
 * Builds tables of their own with a radar that somebody wrote who had only seen days. The first release that is known to
 * the second is parked, whatever comes later of its package waits behind it, and all others go on.
 */
export async function consumeNarrowly(store: SqliteStore, version: number): Promise<Parked> {
  await createTables(store, version);
  const failure = { attempts: 2, minDelayMs: 20, then: "park" } as const;
  caughtUp(await consume(store, defineRadar(version, { understands: ["day"], failure })));

  const failed: DeadLetter[] = [];
  let waiting = 0;
  for await (const letter of store.deadLetters.list({ name: "release-radar", version })) {
    if (letter.cause === undefined) waiting += 1;
    else failed.push(letter);
  }
  return { failed, waiting };
}

/**
 * The radar understands seconds now. What failed is asked for once more, and carried out by whoever runs the consumer
 * next; what waited behind it follows by itself, in order. Returns how many events were handled.
 */
export async function mend(store: SqliteStore, version: number, { failed }: Parked): Promise<number> {
  const consumer = { name: "release-radar", version };
  for (const letter of failed) await store.deadLetters.retry(consumer, letter.event.position);

  const positions: bigint[] = [];
  const observe = ({ event }: Observation): number => positions.push(event.position);
  caughtUp(await consume(store, defineRadar(version), { observe }));
  if (positions.some((position, index) => position < (positions[index - 1] ?? 0n))) {
    throw new Error("What waited was not handled in order.");
  }
  return positions.length;
}

function caughtUp(result: ConsumeResult): void {
  if (result.kind === "stopped") throw result.error;
  if (result.kind !== "caught-up") throw new Complaint(`Consuming ended with ${result.kind}, which nobody asked for.`);
}
