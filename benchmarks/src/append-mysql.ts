import { createMysqlStore } from "@tidemark/adapter-mysql";
import { bucketOf, createFlakeGenerator } from "@tidemark/core";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { createConnection } from "mysql2/promise";
import { appendByCallers, DATA, names } from "./callers.ts";
import { compare, type Comparison } from "./compare.ts";

const CALLERS = 64;
const EVENTS_EACH = 60;

const INSERT_EVENTS = `insert into raw_event
  (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata, occurred_on, recorded_at)
  values ?`;

const UPSERT_AGGREGATES = `insert into raw_aggregate (context, type, id, version) values ?
  on duplicate key update version = values(version)`;

const INSERT_EVENT = `insert into raw_event
  (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata, occurred_on, recorded_at)
  values ('default', 'order', ?, ?, ?, ?, 'order-placed', ?, '{}', ?, ?)`;

export function appendToMysql(): Promise<readonly Comparison[]> {
  return appendTo("mysql", "MySQL");
}

export function appendToMariadb(): Promise<readonly Comparison[]> {
  return appendTo("mariadb", "MariaDB");
}

/**
 * Appends of one event each through the store, against mysql2 itself writing the same rows into the same tables and
 * indexes: 64 events to a transaction with one multi-row statement a table, and one prepared insert after the other.
 */
async function appendTo(server: "mysql" | "mariadb", label: string): Promise<readonly Comparison[]> {
  const answer = await findServer(server, { durable: true });
  if (answer.kind === "missing") {
    console.log(explain(answer));
    return [];
  }
  const database = await createDatabase(answer.server.url);
  const store = await createMysqlStore({ connection: database.url });
  await (await createMysqlStore({ connection: database.url, prefix: "raw_" })).close();
  const raw = await createConnection(database.url);
  const mintId = createFlakeGenerator();

  const bucket = (id: string): number => bucketOf({ context: "default", type: "order", id });
  const insertMany = async (aggregates: readonly string[], version: number): Promise<void> => {
    const now = Date.now();
    const event = (id: string): readonly unknown[] => {
      const given = ["default", "order", id, version, bucket(id), mintId(), "order-placed"];
      return [...given, JSON.stringify(DATA), "{}", now, now];
    };
    await raw.beginTransaction();
    await raw.query(UPSERT_AGGREGATES, [aggregates.map((id) => ["default", "order", id, version])]);
    await raw.query(INSERT_EVENTS, [aggregates.map(event)]);
    await raw.commit();
  };
  const insertOne = async (id: string, version: number): Promise<void> => {
    const now = Date.now();
    await raw.execute(INSERT_EVENT, [id, version, bucket(id), mintId(), JSON.stringify(DATA), now, now]);
  };

  try {
    return [
      await compare({
        name: `${label}, ${CALLERS} callers appending one event at a time / multi-row inserts, ${CALLERS} to a transaction`,
        amount: CALLERS * EVENTS_EACH,
        raw: async () => {
          const aggregates = names(CALLERS).toSorted();
          for (let version = 1; version <= EVENTS_EACH; version++) await insertMany(aggregates, version);
        },
        ours: () => appendByCallers(store, CALLERS, EVENTS_EACH),
      }),
      await compare({
        name: `${label}, ${CALLERS} callers appending one event at a time / one prepared insert after the other`,
        amount: CALLERS * EVENTS_EACH,
        raw: async () => {
          const aggregates = names(CALLERS);
          for (let version = 1; version <= EVENTS_EACH; version++) {
            for (const aggregate of aggregates) await insertOne(aggregate, version);
          }
        },
        ours: () => appendByCallers(store, CALLERS, EVENTS_EACH),
      }),
    ];
  } finally {
    await raw.end();
    await store.close();
    await database.drop();
    await answer.server.stop();
  }
}
