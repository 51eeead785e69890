import {
  type AppendResult,
  defineSaga,
  type EventInput,
  type FailurePolicy,
  type FencedTransaction,
  type Position,
  type RecordedEvent,
  type Saga,
  type SagaConsumer,
  type SagaHandler,
  type SagaState,
  type StartRule,
  type Store,
  type Zone,
} from "@tidemark/core";
import { declare, enter, ORDERS } from "./consumers.ts";
import { account } from "./events.ts";
import { collect } from "./expect.ts";

/** What happens to an order. One of `null` is no order's event. */
interface OrderData {
  readonly order: string | null;
  readonly step: string;
}

interface OrderEvents {
  readonly placed: OrderData;
  readonly paid: OrderData;
  readonly closed: OrderData;
}

export type OrderEvent = RecordedEvent<"placed" | "paid" | "closed", OrderData>;

/** What the saga of an order remembers: each step that it was told of, so that what is done twice shows. */
export interface Trail {
  readonly steps: readonly string[];
}

export type TrailState = SagaState<Trail>;
type Orders<Tx> = SagaHandler<Tx, Trail, OrderEvent>;

export interface OrderOptions<Tx> {
  readonly name?: string | undefined;
  readonly saga?: string | undefined;
  readonly start?: StartRule | undefined;
  readonly failure?: FailurePolicy | undefined;
  readonly deadlines?: Parameters<typeof defineSaga<Tx, Trail, OrderEvents>>[0]["deadlines"];
}

/** Failures are tried again at once. */
const QUICK: FailurePolicy = { minDelayMs: 1, maxDelayMs: 5 };

/** A saga of orders, from the beginning of the log: `placed` starts one, `closed` ends it. */
export function orders<Tx>(handle: Orders<Tx> = follow, options: OrderOptions<Tx> = {}): SagaConsumer<Tx> {
  const { name = ORDERS, saga, failure, deadlines } = options;
  const start = "start" in options ? options.start : "beginning";
  const association = { property: "order", value: (event: OrderEvent) => event.data.order ?? undefined };
  const part = { association, handle };
  const handlers = { placed: { ...part, starts: true }, paid: part, closed: part };
  return defineSaga<Tx, Trail, OrderEvents>({
    name,
    saga,
    start,
    handlers,
    deadlines,
    failure: { ...QUICK, ...failure },
  });
}

/** The handler of most laws: remembers the step, ends with the order. */
export function follow(event: OrderEvent, state: TrailState | undefined): TrailState {
  const order = state?.associations["order"] ?? event.data.order ?? "none";
  return { ...remember(event.data.step, state, { order }), ended: event.type === "closed" };
}

/** `state` with one more step. */
export function remember(
  step: string,
  state: TrailState | undefined,
  associations: Readonly<Record<string, string>> = {},
): TrailState {
  return {
    associations: { ...state?.associations, ...associations },
    data: { steps: [...(state?.data.steps ?? []), step] },
  };
}

export function placed(order: string | null, step = "placed"): EventInput {
  return { type: "placed", data: { order, step } satisfies OrderData };
}

export function paid(order: string, step = "paid"): EventInput {
  return { type: "paid", data: { order, step } satisfies OrderData };
}

export function closed(order: string): EventInput {
  return { type: "closed", data: { order, step: "closed" } satisfies OrderData };
}

/** These events happen, in this order. */
export function happen<Tx>(log: Store<Tx>, ...events: readonly EventInput[]): Promise<AppendResult> {
  return log.append({ aggregate: account("shop"), events });
}

/** All sagas of a name as texts, in the order of their values: `"a: placed, paid"`. */
export async function trails<Tx>(store: Store<Tx>, saga: string = ORDERS): Promise<readonly string[]> {
  const sagas = await collect(store.sagas.list(saga));
  return sagas.map(trailOf).toSorted();
}

export function trailOf({ associations, data }: Pick<Saga, "associations" | "data">): string {
  return `${associations["order"]}: ${(data as Trail).steps.join(", ")}`;
}

/** The zone of a saga consumer, which must be free. */
export async function sagaZone<Tx>(store: Store<Tx>, name: string = ORDERS): Promise<Zone<Tx>> {
  await declare(store, name, { kind: "saga" });
  return enter(store, name);
}

/** Writes sagas by hand, in a transaction of the zone's. */
export function inZone<Tx>(
  zone: Zone<Tx>,
  work: (records: FencedTransaction<Tx>["records"]) => Promise<unknown>,
): Promise<Position> {
  return zone.commit(async ({ records }) => {
    await work(records);
    return zone.position;
  });
}

/** A saga as it is inserted by hand. */
export function row(
  id: string,
  associations: Readonly<Record<string, string>>,
  data: unknown = null,
): Omit<Saga, "version"> {
  return { id, associations, data };
}
