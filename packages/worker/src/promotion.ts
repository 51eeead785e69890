import { type ConsumerSight, type Operation, type Store, TidemarkError } from "@tidemark/core";
import { sleep } from "@tidemark/core/spi";
import { invalid } from "./options.ts";

export interface PromotionOptions extends Operation {
  /** The active version. */
  readonly from: number;
  /** The version that takes its place. Somebody has to run it. */
  readonly to: number;
  /** How far the new one may be behind when the old one is stopped, in positions. Default 1 000. */
  readonly nearBy?: number | undefined;
  /** How long the old one may stand still until the new one has got there. Default 30 000. */
  readonly pauseMs?: number | undefined;
}

/**
 * Puts one version of a consumer in the place of another without losing or repeating an event: waits until the new one
 * is close behind, disables the old one, waits until both stand at the same positions, promotes. What readers see is
 * what the old one has written until the end. When it does not get there in time, or the signal fires, the old one is
 * enabled again and nothing has changed. Does nothing when the new one is active already.
 *
 * Errors: WAIT_TIMEOUT after `pauseMs`; ABORTED; CONSUMER_UNKNOWN; those of `consumers.promote`.
 */
export async function promoteWhenEqual<Tx>(store: Store<Tx>, name: string, options: PromotionOptions): Promise<void> {
  const { from, to, nearBy = 1_000, pauseMs = 30_000, signal } = options;
  if (!Number.isInteger(nearBy) || nearBy < 0)
    throw invalid("nearBy", `nearBy is a whole number from 0, got ${nearBy}.`);
  const look = async (): Promise<readonly [ConsumerSight | undefined, ConsumerSight | undefined]> => {
    const [old, fresh] = await store.consumers.look(
      [
        { name, version: from },
        { name, version: to },
      ],
      { signal },
    );
    return [old, fresh];
  };
  for (;;) {
    const [old, fresh] = await look();
    // What is wrong with the two is said by the promotion itself.
    if (old?.active !== true || fresh?.kind === undefined || fresh.active) return promote();
    if (old.segments.length !== fresh.segments.length) return promote();
    if (distance(old, fresh) <= BigInt(nearBy)) break;
    await sleep(LOOK_MS, signal);
  }
  const [old] = await look();
  const wasEnabled = old?.enabled !== false;
  await store.consumers.disable({ name, version: from });
  try {
    await untilEqual();
    await promote();
  } catch (error) {
    // Done after all: only the answer was lost.
    const [, fresh] = await store.consumers.look([
      { name, version: from },
      { name, version: to },
    ]);
    if (fresh?.active === true) return;
    if (wasEnabled) await store.consumers.enable({ name, version: from });
    throw error;
  }

  function promote(): Promise<void> {
    return store.consumers.promote(name, { from, to }, { signal });
  }

  async function untilEqual(): Promise<void> {
    const deadline = performance.now() + pauseMs;
    for (;;) {
      const [old, fresh] = await look();
      if (old === undefined || fresh === undefined) return;
      const isStill = old.segments.every(({ owner }) => owner === undefined);
      if (isStill && distance(old, fresh) === 0n) return;
      if (performance.now() > deadline) throw late(name, to, pauseMs);
      await sleep(QUICK_LOOK_MS, signal);
    }
  }
}

const LOOK_MS = 250;
const QUICK_LOOK_MS = 25;

function distance(old: ConsumerSight, fresh: ConsumerSight): bigint {
  return old.segments.reduce((sum, { position }, index) => {
    const difference = (position ?? 0n) - (fresh.segments[index]?.position ?? 0n);
    return sum + (difference < 0n ? -difference : difference);
  }, 0n);
}

function late(name: string, version: number, timeoutMs: number): TidemarkError<"WAIT_TIMEOUT"> {
  return new TidemarkError(
    "WAIT_TIMEOUT",
    `Version ${version} of ${name} did not get to where the active one stopped within ${timeoutMs} ms. The active one ` +
      "runs again. See by a worker's status whether the new one is stopped at an error, or parks what the old one does not.",
    { timeoutMs },
  );
}
