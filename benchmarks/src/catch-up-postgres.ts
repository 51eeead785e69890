import { setTimeout as sleep } from "node:timers/promises";
import { createPostgresStore, type PostgresStore, type PostgresTransaction } from "@tidemark/adapter-postgres";
import { defineProjector, parsePosition, type Position, type Projector } from "@tidemark/core";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { createWorker } from "@tidemark/worker";
import { Client, type ClientBase } from "pg";
import { compare, type Comparison } from "./compare.ts";

const EVENTS = 100_000;
/** With a statement for each event, fewer tell as much. */
const SINGLE_EVENTS = 10_000;
const ROUNDS = 5;
const ORDERS = 1_000;
/** Events of a page, and of a transaction. */
const PAGE = 500;

const CREATE_TABLES = `
  create table revenue (order_id text primary key, amount bigint not null, events integer not null);
  create table checkpoint (position bigint not null);
  insert into checkpoint values (0)`;

const READ_PAGE = `
  select position, context, aggregate_type, aggregate_id, version, event_id, event_type, data, metadata, occurred_on,
    recorded_at
  from tidemark.event where position > $1 order by position limit $2`;

const ADD_MANY = `
  insert into revenue as known (order_id, amount, events)
  select * from unnest($1::text[], $2::bigint[], $3::integer[])
  on conflict (order_id) do update set amount = known.amount + excluded.amount, events = known.events + excluded.events`;

const ADD_ONE = `
  insert into revenue as known (order_id, amount, events) values ($1, $2, 1)
  on conflict (order_id) do update set amount = known.amount + excluded.amount, events = known.events + 1`;

interface PaymentEvents {
  readonly "order-paid": { readonly amount: number };
}

/** What the writes need of an event, whoever has read it. */
interface Payment {
  readonly orderId: string;
  readonly amount: number;
}

interface Race {
  readonly what: string;
  readonly events: number;
  readonly projector: Projector<PostgresTransaction>;
  /** What the loop writes for a page; the projector writes the same. */
  readonly write: (client: Queryable, page: readonly Payment[]) => Promise<void>;
}

type Queryable = Pick<ClientBase, "query">;

/**
 * A projector that a worker runs up to the head, against one plain loop of pg that reads pages of the same table and does
 * the same writes: one transaction a page, with its checkpoint.
 */
export async function catchUpOnPostgres(): Promise<readonly Comparison[]> {
  const answer = await findServer("postgres", { durable: true });
  if (answer.kind === "missing") {
    console.log(explain(answer));
    return [];
  }
  const database = await createDatabase(answer.server.url);
  const store = await createPostgresStore({ connection: database.url });
  const raw = new Client({ connectionString: database.url });
  await raw.connect();
  try {
    await raw.query(CREATE_TABLES);
    await appendPayments(store);
    // What autovacuum does sooner or later must not happen in the middle of a round.
    await raw.query("vacuum analyze");
    return [
      await race(store, raw, {
        what: "batch projector / loop with a multi-row upsert a page",
        events: EVENTS,
        projector: defineProjector<PostgresTransaction, PaymentEvents>({
          name: "by-pages",
          handleBatch: (events, { tx }) =>
            addMany(
              tx,
              events.map(({ aggregate, data }) => ({ orderId: aggregate.id, amount: data.amount })),
            ),
        }),
        write: addMany,
      }),
      await race(store, raw, {
        what: "projector of single events / loop with a statement an event",
        events: SINGLE_EVENTS,
        projector: defineProjector<PostgresTransaction, PaymentEvents>({
          name: "by-events",
          handlers: {
            "order-paid": ({ aggregate, data }, { tx }) => addOne(tx, { orderId: aggregate.id, amount: data.amount }),
          },
        }),
        write: async (client, page) => {
          for (const payment of page) await addOne(client, payment);
        },
      }),
    ];
  } finally {
    await raw.end();
    await store.close();
    await database.drop();
    await answer.server.stop();
  }
}

/** Both go through the last `events` of the log, again in each round. */
async function race(store: PostgresStore, raw: Client, { what, events, projector, write }: Race): Promise<Comparison> {
  const start = await positionBeforeLast(raw, events);
  const head = await store.head();
  await store.consumers.declare(projector.key, { kind: projector.kind, start: { position: start } });
  return compare({
    name: `PostgreSQL, ${events.toLocaleString("en-US")} events, ${what}`,
    amount: events,
    rounds: ROUNDS,
    prepare: async () => {
      await raw.query("truncate revenue");
      await store.consumers.reset(projector.key, { position: start });
    },
    raw: () => catchUpByLoop(raw, start, write),
    ours: () => catchUpByWorker(store, projector, head),
  });
}

async function catchUpByLoop(client: Client, start: Position, write: Race["write"]): Promise<void> {
  for (let after: unknown = start; ;) {
    const { rows } = await client.query({ name: "page", text: READ_PAGE, values: [after, PAGE] });
    if (rows.length === 0) return;
    after = asStored(rows.at(-1)).position;
    const page = rows.map((row: unknown) => {
      const { aggregate_id: orderId, data } = asStored(row);
      return { orderId, amount: data.amount };
    });
    await client.query("begin");
    await write(client, page);
    await client.query({ name: "checkpoint", text: "update checkpoint set position = $1", values: [after] });
    await client.query("commit");
  }
}

/** From its start until the last event is committed; giving its segment back comes after that and counts as well. */
async function catchUpByWorker(
  store: PostgresStore,
  projector: Projector<PostgresTransaction>,
  head: Position,
): Promise<void> {
  const worker = createWorker(store, { consumers: [projector], fetchSize: PAGE });
  const running = worker.run();
  const hasCaughtUp = (): boolean => worker.status().consumers[0]?.segments[0]?.position === head;
  // Looking at what the worker knows costs nothing; `waitFor` would ask the database after each commit.
  while (!hasCaughtUp()) await Promise.race([sleep(5), running]);
  await worker.drain();
}

async function addMany(client: Queryable, page: readonly Payment[]): Promise<void> {
  const sums = new Map<string, { amount: number; events: number }>();
  for (const { orderId, amount } of page) {
    const sum = sums.get(orderId) ?? { amount: 0, events: 0 };
    sums.set(orderId, { amount: sum.amount + amount, events: sum.events + 1 });
  }
  const rows = [...sums.values()];
  const values = [[...sums.keys()], rows.map(({ amount }) => amount), rows.map(({ events }) => events)];
  await client.query({ name: "add-many", text: ADD_MANY, values });
}

async function addOne(client: Queryable, { orderId, amount }: Payment): Promise<void> {
  await client.query({ name: "add-one", text: ADD_ONE, values: [orderId, amount] });
}

/** Orders are paid in turns, so that each page is about many of them. */
async function appendPayments(store: PostgresStore): Promise<void> {
  const orders = Array.from({ length: ORDERS }, (_, index) => `order-${index}`);
  for (let count = 0; count < EVENTS; count += ORDERS) {
    const requests = orders.map((id, index) => ({
      aggregate: { type: "order", id },
      events: [{ type: "order-paid", data: { amount: count + index, currency: "EUR", customer: `customer-${index}` } }],
    }));
    await Promise.all(requests.map((request) => store.append(request)));
  }
}

async function positionBeforeLast(client: Client, events: number): Promise<Position> {
  const text = "select position - 1 as position from tidemark.event order by position desc offset $1 limit 1";
  const { rows } = await client.query({ text, values: [events - 1] });
  return parsePosition(asStored(rows[0]).position);
}

/** What pg makes of an event's row: a bigint is a text, json is parsed. */
interface StoredPayment {
  readonly position: string;
  readonly aggregate_id: string;
  readonly data: { readonly amount: number };
}

function asStored(row: unknown): StoredPayment {
  return row as StoredPayment;
}
