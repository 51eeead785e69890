import assert from "node:assert/strict";
import {
  type AppendRequest,
  type ConsumerSpec,
  defineProjector,
  type EventSource,
  type Projector,
  type RecordedEvent,
  type Segmented,
  type Store,
  type TransactionalContext,
} from "@tidemark/core";

type Deposit = RecordedEvent<"deposited", { readonly amount: number }>;

interface Deposits {
  readonly deposited: { readonly amount: number };
}

/** What a ledger's handler leaves behind for one event. */
export interface Applied {
  readonly consumer: string;
  readonly position: string;
  readonly live: boolean;
}

/** An append of one deposit to one of `accounts` accounts. */
export function deposit(amount: number, accounts = 40): AppendRequest {
  return {
    aggregate: { type: "account", id: `account ${amount % accounts}` },
    events: [{ type: "deposited", data: { amount } }],
  };
}

/** Appends deposits `first` … `last`, in transactions of some. */
export async function fill<Tx>(store: Store<Tx>, last: number, first = 1): Promise<void> {
  for (let from = first; from <= last; from += 50) {
    const amounts = Array.from({ length: Math.min(50, last - from + 1) }, (_, index) => from + index);
    await Promise.all(amounts.map((amount) => store.append(deposit(amount))));
  }
}

type LedgerOptions<Tx> = ConsumerSpec &
  Segmented & {
    /** What happens before the event is applied. */
    readonly before?: (event: Deposit, context: TransactionalContext<Tx>) => unknown;
  };

/** A projector whose effect for each deposit is an event of its own, so that what is done twice, or not, shows. */
export function ledger<Tx>({ before, ...spec }: LedgerOptions<Tx>): Projector<Tx> {
  const consumer = `${spec.name}/${spec.version ?? 1}`;
  return defineProjector<Tx, Deposits>({
    failure: { minDelayMs: 1, maxDelayMs: 5 },
    ...spec,
    handlers: {
      deposited: async (event, context) => {
        await before?.(event, context);
        const data: Applied = { consumer, position: event.position.toString(), live: context.live };
        context.append({
          aggregate: { type: "ledger", id: `${consumer}: ${event.aggregate.id}` },
          events: [{ type: "applied", data }],
        });
      },
    },
  });
}

/** What a ledger has applied, in the order of the log. */
export async function appliedBy(log: EventSource, name: string, version = 1): Promise<readonly Applied[]> {
  const events = await readAll(log, "applied");
  return events.map(asApplied).filter(({ consumer }) => consumer === `${name}/${version}`);
}

/** Every deposit was applied once, and those of one account in their order. */
export async function isExactlyOnce(log: EventSource, effects: EventSource, name: string, version = 1): Promise<void> {
  const deposits = await readAll(log, "deposited");
  const applied = await appliedBy(effects, name, version);
  const order = new Map(deposits.map((event) => [event.position.toString(), event]));
  const counts = new Map<string, number>();
  for (const { position } of applied) counts.set(position, (counts.get(position) ?? 0) + 1);
  const lost = [...order.keys()].filter((position) => !counts.has(position));
  const repeated = [...counts].filter(([, count]) => count > 1).map(([position]) => position);
  assert.deepEqual(lost, [], `${name} has applied every deposit.`);
  assert.deepEqual(repeated, [], `${name} has applied no deposit twice.`);
  const last = new Map<string, bigint>();
  for (const { position } of applied) {
    const account = order.get(position)?.aggregate.id ?? "";
    assert.ok(BigInt(position) > (last.get(account) ?? 0n), `${name} keeps the order of ${account}.`);
    last.set(account, BigInt(position));
  }
}

/** Whether a ledger has got to the head of the log in all segments. */
export async function isCaughtUp<Tx>(
  store: Store<Tx>,
  name: string,
  version = 1,
  log: EventSource = store,
): Promise<boolean> {
  const state = await store.consumers.get({ name, version });
  const lastDeposit = (await readAll(log, "deposited")).at(-1)?.position ?? 0n;
  return state?.segments.every(({ position }) => position !== undefined && position >= lastDeposit) ?? false;
}

async function readAll(log: EventSource, eventType: string): Promise<readonly RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for (let after = undefined as RecordedEvent["position"] | undefined; ;) {
    const page = await log.readAll({ after, limit: 1_000, scope: { eventTypes: [eventType] } });
    events.push(...page.events);
    after = page.next;
    if (page.events.length === 0) return events;
  }
}

/** The ledger's own events have no other form. */
function asApplied(event: RecordedEvent): Applied {
  return event.data as Applied;
}
