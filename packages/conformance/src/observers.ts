import {
  defineObserver,
  type EventSource,
  type FailurePolicy,
  type Handler,
  type HandlerContext,
  type Observer,
  type Position,
  type StartRule,
  type Store,
  toPosition,
} from "@tidemark/core";
import type { Adapter, ClaimRecords, CompletionPort } from "@tidemark/core/spi";
import { ORDERS } from "./consumers.ts";
import { account, deposits } from "./events.ts";
import { assert, eventually, type Gate, gate } from "./expect.ts";
import { override } from "./law.ts";
import type { Deposit } from "./projectors.ts";

export interface ObserverOptions {
  readonly name?: string;
  readonly version?: number;
  readonly segments?: number;
  readonly start?: StartRule;
  readonly failure?: FailurePolicy;
  readonly concurrency?: number;
  readonly maxInFlight?: number;
  readonly dedupe?: "none" | "claim";
  readonly claimMs?: number;
}

/** Failures are tried again at once. */
const QUICK: FailurePolicy = { minDelayMs: 1, maxDelayMs: 5 };

/** An observer of deposits, from the beginning of the log. */
export function observer(handle: Handler<HandlerContext, Deposit>, options: ObserverOptions = {}): Observer {
  const failure = { ...QUICK, ...options.failure };
  const handlers = { deposited: handle };
  return defineObserver<{ deposited: { amount: number } }>({
    name: ORDERS,
    start: "beginning",
    ...options,
    failure,
    handlers,
  });
}

/** An observer's effects outside of the database: the amounts that it has handled, in order. */
export interface Sight {
  readonly seen: number[];
  readonly handle: Handler<HandlerContext, Deposit>;
}

export function sight(): Sight {
  const seen: number[] = [];
  return { seen, handle: (event) => void seen.push(event.data.amount) };
}

/** Handlers of which some wait until they are let go. */
export interface Hold extends Sight {
  /** Which have begun, in order; {@link seen} are those that are done. */
  readonly begun: number[];
  /** Resolves when the handler of this amount has begun. */
  begins(amount: number): Promise<unknown>;
  /** Resolves when the handlers of these amounts are done. */
  finishes(...amounts: readonly number[]): Promise<unknown>;
  /** Lets the handler of one amount go, or all. */
  letGo(amount?: number): void;
}

export function hold(...held: readonly number[]): Hold {
  const gates = new Map<number, Gate>(held.map((amount) => [amount, gate()]));
  const { seen } = sight();
  const begun: number[] = [];
  return {
    seen,
    begun,
    handle: async ({ data: { amount } }) => {
      begun.push(amount);
      await gates.get(amount)?.passed;
      seen.push(amount);
    },
    begins: (amount) => eventually(`The handler of ${amount} begins`, () => begun.includes(amount)),
    finishes: (...amounts) =>
      eventually(`The handlers of ${amounts.join(", ")} finish`, () =>
        amounts.every((amount) => seen.includes(amount)),
      ),
    letGo: (amount) => {
      for (const [of, held_] of gates) if (amount === undefined || of === amount) held_.open();
    },
  };
}

/** Deposits 1, 2, 3 … to the accounts in turn, each by an append of its own. Their positions. */
export async function depositTo<Tx>(log: Store<Tx>, ids: readonly string[], first = 1): Promise<readonly Position[]> {
  const positions: Position[] = [];
  for (const [index, id] of ids.entries()) {
    const result = await log.append({ aggregate: account(id), events: deposits(1, first + index) });
    positions.push(...result.positions);
  }
  return positions;
}

export function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  assert.ok(item !== undefined, `There is an item ${index}.`);
  return item;
}

/** A log whose positions are ten times as far apart: what rolled-back appends do to a log, by the hundred. */
export function withGaps(log: EventSource): EventSource {
  const widen = (position: Position): Position => toPosition(position * 10n);
  const narrow = (position: Position): Position => toPosition(position / 10n);
  return override(log, (real) => ({
    readAll: async ({ after, ...options } = {}) => {
      const page = await real.readAll({ ...options, after: after && narrow(after) });
      const events = page.events.map((event) => ({ ...event, position: widen(event.position) }));
      return { events, next: widen(page.next) };
    },
    head: async (op) => widen(await real.head(op)),
    wait: async (after, options) => widen(await real.wait(narrow(after), options)),
  }));
}

/** An adapter with some of its calls on completions changed. */
export function changeCompletions<Tx>(
  real: Adapter<Tx>,
  change: (completions: CompletionPort) => Partial<CompletionPort>,
): Adapter<Tx> {
  return override(real, () => ({
    within: (tx) => override(real.within(tx), (port) => ({ completions: override(port.completions, change) })),
  }));
}

/** An adapter with some of its calls on claims changed. */
export function changeClaims<Tx>(
  real: Adapter<Tx>,
  change: (claims: ClaimRecords) => Partial<ClaimRecords>,
): Adapter<Tx> {
  return override(real, () => ({ claims: override(real.claims, change) }));
}

/** An adapter that tells, once it is committed, which positions above a checkpoint were recorded as completed. */
export function telling<Tx>(real: Adapter<Tx>, tell: (positions: readonly Position[]) => void): Adapter<Tx> {
  const written: Position[] = [];
  const noting = changeCompletions(real, (completions) => ({
    record: async (key, positions, checkpoint, op) => {
      await completions.record(key, positions, checkpoint, op);
      written.push(...positions);
    },
  }));
  return override(noting, () => ({
    transaction: async (work, op) => {
      const result = await real.transaction((tx) => {
        // What was written before it was rolled back is not there.
        written.length = 0;
        return work(tx);
      }, op);
      tell(written.splice(0));
      return result;
    },
  }));
}

/** What a claim is cut off between, in the order in which an observer gets there. */
export const CLAIM_STEPS = ["after-claim", "before-completion", "after-completion"] as const;
export type ClaimStep = (typeof CLAIM_STEPS)[number];

/** Calls `crash`, which never returns, where the second claim gets to `step`. */
export function crashingAtClaim<Tx>(real: Adapter<Tx>, step: ClaimStep, crash: () => void): Adapter<Tx> {
  let claims = 0;
  const crashAt = (here: ClaimStep): void => {
    if (here === step && claims === 2) crash();
  };
  return changeClaims(real, (records) => ({
    claim: async (...args) => {
      const outcome = await records.claim(...args);
      if (outcome === "claimed") claims += 1;
      crashAt("after-claim");
      return outcome;
    },
    complete: async (...args) => {
      crashAt("before-completion");
      await records.complete(...args);
      crashAt("after-completion");
    },
  }));
}
