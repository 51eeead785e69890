import { bucketOf, type ConsumeResult, DEFAULT_CONTEXT, segmentOf, type Store } from "@tidemark/core";
import { ORDERS } from "./consumers.ts";
import { account } from "./events.ts";
import { assert } from "./expect.ts";
import { type Deposit, type ProjectorOptions, projector } from "./projectors.ts";
import type { AnyConsumer } from "@tidemark/core";
import type { Scene } from "./scene.ts";

/** Accounts of which every segment of two and of four has some. */
export const ACCOUNTS: readonly string[] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/** An account whose events are in this segment. */
export function accountIn(segment: number, segments: number): string {
  const found = ACCOUNTS.find(
    (id) => segmentOf(bucketOf({ ...account(id), context: DEFAULT_CONTEXT }), segments) === segment,
  );
  assert.ok(found !== undefined, `There is an account in segment ${segment} of ${segments}.`);
  return found;
}

/** What handlers have got: whose events, and which. */
export interface Trail {
  readonly steps: { readonly id: string; readonly amount: number; readonly live: boolean }[];
  readonly handle: (event: Deposit, context: { readonly live: boolean }) => void;
  /** The amounts of each account, in the order in which its handlers ran. */
  byAccount(): Readonly<Record<string, readonly number[]>>;
}

export function trail(): Trail {
  const steps: Trail["steps"] = [];
  return {
    steps,
    handle: ({ aggregate, data }, { live }) => void steps.push({ id: aggregate.id, amount: data.amount, live }),
    byAccount: () => {
      const all: Record<string, number[]> = {};
      for (const { id, amount } of steps) (all[id] ??= []).push(amount);
      return all;
    },
  };
}

/** `rounds` deposits to each account, by turns, with amounts that count on from `first`. */
export async function rounds<Tx>(log: Store<Tx>, count: number, first = 1): Promise<void> {
  for (let amount = first; amount < first + count; amount++) {
    await log.appendAll(
      ACCOUNTS.map((id) => ({ aggregate: account(id), events: [{ type: "deposited", data: { amount } }] })),
    );
  }
}

/** Every account has got `1 … count`, each once and in order. */
export function assertAll(given: Trail, count: number): void {
  const expected = Array.from({ length: count }, (_, index) => index + 1);
  assert.deepEqual(given.byAccount(), Object.fromEntries(ACCOUNTS.map((id) => [id, expected])));
}

/** A projector whose effects are its transaction's, and whose trail tells what was committed in the end. */
export function tracing<Tx>(given: Trail, options: ProjectorOptions = {}): ReturnType<typeof projector<Tx>> {
  return projector<Tx>(given.handle, options);
}

/** One cycle in each segment, from the first to the last. */
export async function runAll<Tx>(
  { run, store }: Scene<Tx>,
  consumer: (segments: number) => AnyConsumer<Tx>,
): Promise<readonly ConsumeResult[]> {
  const results: ConsumeResult[] = [];
  const segments = (await store.consumers.get(ORDERS))?.segments.length ?? 1;
  for (let segment = 0; segment < segments; segment++) {
    results.push(await run(consumer(segments), { segment }));
  }
  return results;
}

/** The positions at which the consumer's segments stand. */
export async function positionsOf<Tx>(store: Store<Tx>, version = 1): Promise<readonly unknown[]> {
  const state = await store.consumers.get({ name: ORDERS, version });
  return state?.segments.map(({ position }) => position) ?? [];
}
