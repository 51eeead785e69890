import {
  type AnyConsumer,
  defineObserver,
  defineProjector,
  defineSaga,
  type EventSource,
  type FailurePolicy,
  type HandlerContext,
  type LetterFilter,
  type Position,
  type Store,
  TidemarkError,
  type TransactionalContext,
} from "@tidemark/core";
import type { Adapter, LetterPort, LetterRecords } from "@tidemark/core/spi";
import { ORDERS } from "./consumers.ts";
import { account } from "./events.ts";
import { collect } from "./expect.ts";
import { crashingAt } from "./faults.ts";
import { override } from "./law.ts";
import type { Deposit } from "./projectors.ts";

/** Consumers that fail where a law wants them to, alike for all kinds, and what happens to them on their way. */

type Context<Tx> = HandlerContext | TransactionalContext<Tx>;
export type Handle<Tx> = (event: Deposit, context: Context<Tx>) => Promise<unknown>;

/** How a consumer takes its events; `"batch"` is a projector that takes whole batches. */
export const KINDS = ["projector", "batch", "observer", "saga"] as const;
export type Kind = (typeof KINDS)[number];

export interface PatientOptions {
  readonly name?: string | undefined;
  readonly failure?: FailurePolicy | undefined;
  /** Of an observer. */
  readonly concurrency?: number | undefined;
}

/** Tries twice, at once, then parks. */
const PARK: FailurePolicy = { attempts: 2, minDelayMs: 1, maxDelayMs: 5, then: "park" };

/** A consumer of deposits whose sequences are the accounts, from the beginning of the log. */
export function patient<Tx>(kind: Kind, handle: Handle<Tx>, options: PatientOptions = {}): AnyConsumer<Tx> {
  const spec = { name: options.name ?? ORDERS, start: "beginning", failure: { ...PARK, ...options.failure } } as const;
  switch (kind) {
    case "projector":
      return defineProjector<Tx, Deposits>({ ...spec, handlers: { deposited: handle } });
    case "observer":
      return defineObserver<Deposits>({ ...spec, concurrency: options.concurrency, handlers: { deposited: handle } });
    case "batch":
      return defineProjector<Tx, Deposits>({
        ...spec,
        scope: { eventTypes: ["deposited"] },
        handleBatch: async (events, context) => {
          for (const event of events) await handle(event, context);
        },
      });
    case "saga":
      return defineSaga<Tx, number, Deposits>({
        ...spec,
        handlers: {
          deposited: {
            association: { property: "account", value: (event) => event.aggregate.id },
            starts: true,
            handle: async (event, state, context) => {
              await handle(event, context);
              return { associations: { account: event.aggregate.id }, data: (state?.data ?? 0) + 1 };
            },
          },
        },
      });
  }
}

interface Deposits {
  readonly deposited: { amount: number };
}

/** "a1": the first deposit of account a. */
export function nameOf({ aggregate, data }: Pick<Deposit, "aggregate" | "data">): string {
  return `${aggregate.id}${data.amount}`;
}

/** Appends deposits by their names, one after the other. Returns their positions by name. */
export async function history<Tx>(log: Store<Tx>, names: string): Promise<ReadonlyMap<string, Position>> {
  const positions = new Map<string, Position>();
  for (const name of names.split(" ")) {
    const [id = "", ...amount] = name;
    const events = [{ type: "deposited", data: { amount: Number(amount.join("")) } }];
    const [position] = (await log.append({ aggregate: account(id), events })).positions;
    if (position !== undefined) positions.set(name, position);
  }
  return positions;
}

/**
 * A handler whose effect is an event: in the consumer's transaction, where it has one. It fails, after its effect, for
 * what is in `broken`; an observer, whose effects stay, fails before it.
 */
export function handlerFor<Tx>(
  store: Store<Tx>,
  broken: ReadonlySet<string> = new Set(),
  name: string = ORDERS,
): Handle<Tx> {
  return async (event, context) => {
    const fail = (): void => {
      if (broken.has(nameOf(event))) throw new RangeError(`${nameOf(event)} is broken`);
    };
    const effect = { aggregate: { type: "effects", id: name }, events: [{ type: "applied", data: nameOf(event) }] };
    if ("store" in context) await context.store.append(effect);
    else fail();
    if (!("store" in context)) await store.append(effect);
    fail();
  };
}

/** The names of the events whose effects are there, by account, in the order in which they were handled. */
export async function effects<Tx>(
  store: Store<Tx>,
  name: string = ORDERS,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const byAccount: Record<string, string[]> = {};
  for (const { data } of await collect(store.readAggregate({ type: "effects", id: name }))) {
    const effect = String(data);
    (byAccount[effect.slice(0, 1)] ??= []).push(effect);
  }
  return byAccount;
}

/** The names of the letters, in the order in which they are listed. */
export async function letters<Tx>(
  store: Store<Tx>,
  filter: LetterFilter = {},
  name: string = ORDERS,
): Promise<readonly string[]> {
  const listed = await collect(store.deadLetters.list(name, filter));
  return listed.map(({ event }) => nameOf(event as Deposit));
}

/** A log whose reader is interrupted before it gets its page `number`: between two transactions of a consumer. */
export function beforePage(log: EventSource, number: number, interrupt: () => Promise<unknown>): EventSource {
  let pages = 0;
  return override(log, (real) => ({
    readAll: async (options) => {
      pages += 1;
      if (pages === number) await interrupt();
      return real.readAll(options);
    },
  }));
}

/** An adapter with some of its transactions' letter calls changed. */
export function changeLetters<Tx>(real: Adapter<Tx>, change: (port: LetterPort) => Partial<LetterPort>): Adapter<Tx> {
  return override(real, () => ({
    within: (tx) => override(real.within(tx), (port) => ({ deadLetters: override(port.deadLetters, change) })),
  }));
}

/** An adapter with some of its operators' letter calls changed. */
export function changeLetterRecords<Tx>(
  real: Adapter<Tx>,
  change: (records: LetterRecords) => Partial<LetterRecords>,
): Adapter<Tx> {
  return override(real, () => ({ deadLetters: override(real.deadLetters, change) }));
}

/** Where a consumer can be cut off while it parks an event. */
export const PARK_STEPS = ["after-park", "after-fence", "after-commit"] as const;
/** Where it can be cut off while it handles one again. The first two steps are in handlers. */
export const REPLAY_STEPS = ["before-handler", "after-effect", "after-remove", "after-fence", "after-commit"] as const;
export type LetterStep = (typeof PARK_STEPS | typeof REPLAY_STEPS)[number];

/** Calls `crash` where the adapter gets to `step` with a letter in its hands: one that it parks or removes. */
export function crashingWithLetter<Tx>(real: Adapter<Tx>, step: LetterStep, crash: () => void): Adapter<Tx> {
  let armed = false;
  const ended = crashingAt(real, step, () => {
    if (armed) crash();
  });
  return changeLetters(ended, (port) => ({
    park: async (consumer, rows, op) => {
      await port.park(consumer, rows, op);
      armed = true;
      if (step === "after-park") crash();
    },
    remove: async (consumer, position, op) => {
      const removed = await port.remove(consumer, position, op);
      armed = true;
      if (step === "after-remove") crash();
      return removed;
    },
  }));
}

/** `handle`, which crashes where the step is in a handler. */
export function crashingHandler<Tx>(handle: Handle<Tx>, step: LetterStep, crash: () => void): Handle<Tx> {
  return async (event, context) => {
    if (step === "before-handler") crash();
    await handle(event, context);
    if (step === "after-effect") crash();
  };
}

/** Once `gone` has fired, no transaction of this adapter begins any more: its process is no more. */
export function mortal<Tx>(real: Adapter<Tx>, gone: AbortSignal): Adapter<Tx> {
  return override(real, () => ({
    transaction: async (work, op) => {
      if (!gone.aborted) return real.transaction(work, op);
      throw new TidemarkError("ZONE_LOST", "The process is gone, because the law says so.", {
        consumer: "",
        segment: 0,
      });
    },
  }));
}
