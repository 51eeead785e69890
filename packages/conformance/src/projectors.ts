import {
  defineProjector,
  type FailurePolicy,
  type Handler,
  type TransactionalContext,
  type Projector,
  type RecordedEvent,
  type StartRule,
  type Store,
} from "@tidemark/core";
import { ORDERS } from "./consumers.ts";
import { collect } from "./expect.ts";

/** What `deposits` makes. */
export type Deposit = RecordedEvent<"deposited", { amount: number }>;

/** Failures are tried again at once. */
const QUICK: FailurePolicy = { minDelayMs: 1, maxDelayMs: 5 };

export interface ProjectorOptions {
  readonly name?: string;
  readonly version?: number;
  readonly segments?: number;
  readonly start?: StartRule;
  readonly failure?: FailurePolicy;
}

/** A projector of deposits. */
export function projector<Tx>(
  handle: Handler<TransactionalContext<Tx>, Deposit>,
  options: ProjectorOptions = {},
): Projector<Tx> {
  const failure: FailurePolicy = { ...QUICK, then: "stop", ...options.failure };
  return defineProjector<Tx, Deposits>({ name: ORDERS, ...options, failure, handlers: { deposited: handle } });
}

/** A projector of batches, each of which fails or not once its effects are written. Skips what fails twice. */
export function batchProjector<Tx>(check: (events: readonly Deposit[]) => void): Projector<Tx> {
  return defineProjector<Tx, Deposits>({
    name: ORDERS,
    failure: { ...QUICK, attempts: 2, then: "skip" },
    scope: { eventTypes: ["deposited"] },
    handleBatch: async (events, context) => {
      for (const event of events) await apply(event, context);
      check(events);
    },
  });
}

export function isAmount(event: Deposit, amount: number): boolean {
  return event.data.amount === amount;
}

interface Deposits {
  readonly deposited: { amount: number };
}

/** The effect of most handlers: an event of its own, in the consumer's transaction, so that what is done twice shows. */
export function apply<Tx>(event: Deposit, context: TransactionalContext<Tx>): Promise<void> {
  return applyFor(ORDERS)(event, context);
}

export function applyFor(name: string): <Tx>(event: Deposit, context: TransactionalContext<Tx>) => Promise<void> {
  return async (event, { store }) => {
    await store.append({ aggregate: effectsOf(name), events: [{ type: "applied", data: event.data.amount }] });
  };
}

/** The amounts whose effects are there, in the order in which they were applied. */
export async function applied<Tx>(store: Store<Tx>, name: string = ORDERS): Promise<readonly unknown[]> {
  const effects = await collect(store.readAggregate(effectsOf(name)));
  return effects.map((event) => event.data);
}

function effectsOf(name: string): { readonly type: string; readonly id: string } {
  return { type: "read model", id: name };
}
