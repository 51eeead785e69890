import type { Operation } from "../adapter/operation.ts";
import { TidemarkError } from "../errors.ts";
import { positive, type ResolvedStoreOptions } from "../store/options.ts";
import type { Store } from "../store/store.ts";
import type { Waker } from "../store/waker.ts";
import type { AggregateInput } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import { type ConsumerInput, resolveConsumer } from "./name.ts";
import { unknownConsumer } from "./refusals.ts";

export interface WaitForOptions extends Operation {
  /** Only dead letters of this aggregate count as parked. */
  readonly aggregate?: AggregateInput | undefined;
  /** Default 30 000. */
  readonly timeoutMs?: number | undefined;
}

interface WaitForParts {
  readonly store: Pick<Store<never>, "consumers" | "deadLetters">;
  readonly progress: Waker;
  readonly poll: ResolvedStoreOptions["poll"];
  readonly signal: AbortSignal;
}

/** Looks, sleeps until a consumer of this process commits or it is time to look again, and looks again. */
export async function waitForConsumer(
  parts: WaitForParts,
  consumer: ConsumerInput,
  position: Position,
  options: WaitForOptions,
): Promise<"applied" | "parked"> {
  const { store, progress, poll, signal } = parts;
  const timeoutMs = positive("timeoutMs", options.timeoutMs ?? 30_000);
  const deadline = performance.now() + timeoutMs;
  for (let pause = poll.minMs; ;) {
    const version = progress.version;
    const state = await store.consumers.get(consumer, { signal });
    if (state?.kind === undefined) throw unknownConsumer(resolveConsumer(consumer));
    const passed = state.segments.every((segment) => segment.position !== undefined && segment.position >= position);
    // Letters are written with the checkpoint that passes them, so they are looked for after it.
    if (passed) return (await isParked(parts, consumer, position, options.aggregate)) ? "parked" : "applied";
    const left = deadline - performance.now();
    if (left <= 0) throw timedOut(state.name, position, timeoutMs);
    const woken = await progress.rest(version, Math.min(pause, left), signal);
    pause = woken ? poll.minMs : Math.min(pause * 2, poll.maxMs);
  }
}

async function isParked(
  { store, signal }: WaitForParts,
  consumer: ConsumerInput,
  position: Position,
  aggregate: AggregateInput | undefined,
): Promise<boolean> {
  // Ascending: the first one tells.
  for await (const letter of store.deadLetters.list(consumer, { aggregate, signal }))
    return letter.event.position <= position;
  return false;
}

function timedOut(consumer: string, position: Position, timeoutMs: number): TidemarkError<"WAIT_TIMEOUT"> {
  return new TidemarkError(
    "WAIT_TIMEOUT",
    `${consumer} did not reach position ${position} within ${timeoutMs} ms. See by consumers.get whether it runs, is ` +
      "disabled or has stopped at an error.",
    { timeoutMs },
  );
}
