import { AssertionError } from "node:assert/strict";
import type { Bench, Law, Site } from "@tidemark/conformance";
import type { Store, StoreOptions } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";
import { createWorker, type Worker, type WorkerOptions } from "@tidemark/worker";

/** A worker that a law has hired: it runs on a store of its own, as another process would. */
export interface Hired<Tx> {
  readonly worker: Worker;
  readonly store: Store<Tx>;
  /** What `run` comes to. */
  readonly run: Promise<void>;
}

/** What a law about workers has. */
export interface Yard<Tx> extends Bench<Tx> {
  /** Creates a worker that is quick in everything, and runs it. Drained after the law. */
  readonly hire: (options: WorkerOptions<Tx>, on?: Ground<Tx>) => Promise<Hired<Tx>>;
}

interface Ground<Tx> {
  readonly store?: Store<Tx>;
  /** What its database does, as in `Site.open`. */
  readonly change?: (real: Adapter<Tx>) => Adapter<Tx>;
  readonly site?: Site<Tx>;
  readonly storeOptions?: StoreOptions;
}

/** What a broken worker does: it sees the store through a lie, gets other options, or tells something else. */
interface Lie {
  readonly lie: string;
  store?<Tx>(real: Store<Tx>): Store<Tx>;
  options?<Tx>(real: WorkerOptions<Tx>): WorkerOptions<Tx>;
  worker?(real: Worker): Worker;
}

/** One promise of the worker, over any store. */
export interface WorkerLaw {
  readonly id: string;
  readonly promise: string;
  readonly when?: Law["when"];
  check<Tx>(yard: Yard<Tx>): Promise<void>;
  readonly tooth: Lie;
}

/** The law as the suite judges it; with its own lie instead of a worker that tells the truth, when it is to be caught. */
export function asLaw(law: WorkerLaw, lying = false): Law {
  const { id, promise, when, tooth } = law;
  return {
    id,
    promise,
    ...(when !== undefined && { when }),
    tooth: { lie: tooth.lie },
    check: (bench) => checkIn(bench, law, lying ? tooth : undefined),
  };
}

const QUICK: Omit<WorkerOptions<never>, "consumers"> = {
  poll: { minMs: 5, maxMs: 50 },
  leaseMs: 2_000,
  memberLeaseMs: 600,
  retry: { minDelayMs: 20, maxDelayMs: 200 },
  drainMs: 3_000,
};

async function checkIn<Tx>(bench: Bench<Tx>, law: WorkerLaw, lie: Lie | undefined): Promise<void> {
  const hired: Hired<Tx>[] = [];
  const hire: Yard<Tx>["hire"] = async (options, { store: given, change, site = bench, storeOptions } = {}) => {
    const store = given ?? (await site.open(storeOptions, change));
    const seen = lie?.store?.(store) ?? store;
    const all = { ...QUICK, ...options };
    const honest = createWorker(seen, lie?.options?.(all) ?? all);
    const worker = lie?.worker?.(honest) ?? honest;
    const run = worker.run();
    // The law may look at it later.
    run.catch(() => undefined);
    const one = { worker, store, run };
    hired.push(one);
    return one;
  };
  try {
    await law.check({ ...bench, hire });
  } finally {
    await Promise.all(hired.map(({ worker }) => worker.drain()));
  }
}

/** What is broken shows soon enough. */
let patienceMs = Number.POSITIVE_INFINITY;

/** For a run in which every law is to fail. */
export function losePatience(ms: number): void {
  patienceMs = ms;
}

/** Throws unless the condition holds within the time. */
export async function eventually<T>(
  promised: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const allowedMs = Math.min(timeoutMs, patienceMs);
  const deadline = performance.now() + allowedMs;
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new AssertionError({ message: `${promised}: not within ${allowedMs} ms.` });
    await turn(5);
  }
}

/** Lets everything run that can, for `ms`: between two questions of a poll. */
export function turn(ms = 0): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A door that stays shut until it is opened. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open: () => open() };
}
