import { fork } from "node:child_process";
import { once } from "node:events";
import { createPostgresStore, type PostgresStore } from "@tidemark/adapter-postgres";
import { bucketOf, createFlakeGenerator } from "@tidemark/core";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { Client } from "pg";
import { appendByCallers, DATA, names } from "./callers.ts";
import { compare, type Comparison } from "./compare.ts";

const CALLERS = 64;
const EVENTS_EACH = 60;
const PROCESSES = 4;

const INSERT_EVENTS = `insert into raw.event
  (position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata, occurred_on)
  select nextval('raw.event_position'), 'default', 'order', id, version, bucket, event_id, 'order-placed', data, '{}', occurred_on
  from unnest($1::text[], $2::integer[], $3::integer[], $4::text[], $5::json[], $6::bigint[])
    as given (id, version, bucket, event_id, data, occurred_on)`;

const UPSERT_AGGREGATES = `insert into raw.aggregate (context, type, id, version)
  select 'default', 'order', * from unnest($1::text[], $2::integer[])
  on conflict (context, type, id) do update set version = excluded.version`;

const INSERT_EVENT = `insert into raw.event
  (position, context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata, occurred_on)
  values (nextval('raw.event_position'), 'default', 'order', $1, $2, $3, $4, 'order-placed', $5, '{}', $6)`;

/**
 * Appends of one event each through the store, against pg itself writing the same rows into the same tables and indexes:
 * 64 events to a transaction with one multi-row statement a table, and one prepared insert after the other.
 */
export async function appendToPostgres(): Promise<readonly Comparison[]> {
  const answer = await findServer("postgres", { durable: true });
  if (answer.kind === "missing") {
    console.log(explain(answer));
    return [];
  }
  const database = await createDatabase(answer.server.url);
  const store = await createPostgresStore({ connection: database.url });
  await (await createPostgresStore({ connection: database.url, schemaName: "raw" })).close();
  const raw = new Client({ connectionString: database.url });
  await raw.connect();
  const mintId = createFlakeGenerator();

  const bucket = (id: string): number => bucketOf({ context: "default", type: "order", id });
  const insertMany = async (aggregates: readonly string[], version: number): Promise<void> => {
    const versions = aggregates.map(() => version);
    const ids = aggregates.map(() => mintId());
    const data = aggregates.map(() => JSON.stringify(DATA));
    const times = aggregates.map(() => Date.now());
    await raw.query("begin");
    await raw.query({ name: "aggregates", text: UPSERT_AGGREGATES, values: [aggregates, versions] });
    await raw.query({
      name: "events",
      text: INSERT_EVENTS,
      values: [aggregates, versions, aggregates.map(bucket), ids, data, times],
    });
    await raw.query("commit");
  };
  const insertOne = async (aggregate: string, version: number): Promise<void> => {
    const values = [aggregate, version, bucket(aggregate), mintId(), JSON.stringify(DATA), Date.now()];
    await raw.query({ name: "event", text: INSERT_EVENT, values });
  };

  try {
    return [
      await compare({
        name: `PostgreSQL, ${CALLERS} callers appending one event at a time / multi-row inserts, ${CALLERS} to a transaction`,
        amount: CALLERS * EVENTS_EACH,
        raw: async () => {
          const aggregates = names(CALLERS).toSorted();
          for (let version = 1; version <= EVENTS_EACH; version++) await insertMany(aggregates, version);
        },
        ours: () => appendByCallers(store, CALLERS, EVENTS_EACH),
      }),
      await compare({
        name: `PostgreSQL, ${CALLERS} callers appending one event at a time / one prepared insert after the other`,
        amount: CALLERS * EVENTS_EACH,
        raw: async () => {
          const aggregates = names(CALLERS);
          for (let version = 1; version <= EVENTS_EACH; version++) {
            for (const aggregate of aggregates) await insertOne(aggregate, version);
          }
        },
        ours: () => appendByCallers(store, CALLERS, EVENTS_EACH),
      }),
      await compareProcesses(database.url, store),
    ];
  } finally {
    await raw.end();
    await store.close();
    await database.drop();
    await answer.server.stop();
  }
}

/** Here "raw" is one process of ours: does a log lose when more processes write to it, each with as many callers? */
async function compareProcesses(url: string, store: PostgresStore): Promise<Comparison> {
  const writers = Array.from({ length: PROCESSES }, () => fork(new URL("./append-process.js", import.meta.url), [url]));
  await Promise.all(writers.map((writer) => once(writer, "message")));
  try {
    return await compare({
      name: `PostgreSQL, ${PROCESSES} processes with ${CALLERS} callers each / one process with ${CALLERS}`,
      amount: PROCESSES * CALLERS * EVENTS_EACH,
      raw: () => appendByCallers(store, CALLERS, PROCESSES * EVENTS_EACH),
      ours: async () => {
        const done = writers.map((writer) => once(writer, "message"));
        for (const writer of writers) writer.send({ callers: CALLERS, eventsEach: EVENTS_EACH });
        await Promise.all(done);
      },
    });
  } finally {
    for (const writer of writers) writer.disconnect();
  }
}
