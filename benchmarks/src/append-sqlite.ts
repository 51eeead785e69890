import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteStore } from "@tidemark/adapter-sqlite";
import { bucketOf, createFlakeGenerator } from "@tidemark/core";
import Database from "better-sqlite3";
import { appendByCallers, DATA, names } from "./callers.ts";
import { compare, type Comparison } from "./compare.ts";

const CALLERS = 64;
const EVENTS_EACH = 100;

const INSERT = `insert into tidemark_event
  (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data, metadata, occurred_on, recorded_at)
  values ('default', 'order', ?, ?, ?, ?, 'order-placed', ?, '{}', ?, ?)`;

/**
 * Appends of one event each through the store, by 64 callers at once and by one, against better-sqlite3's own prepared
 * inserts of the same rows into the same table: 64 to a transaction, and one to a transaction.
 */
export async function appendToSqlite(): Promise<readonly Comparison[]> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const store = await createSqliteStore({ file: join(folder, "ours.db") });
  await (await createSqliteStore({ file: join(folder, "raw.db") })).close();
  const raw = new Database(join(folder, "raw.db"));
  raw.pragma("journal_mode = wal");
  raw.pragma("synchronous = full");
  const insert = raw.prepare(INSERT);
  const mintId = createFlakeGenerator();

  const insertRow = (aggregate: string, version: number): void => {
    const now = Date.now();
    const bucket = bucketOf({ context: "default", type: "order", id: aggregate });
    insert.run(aggregate, version, bucket, mintId(), JSON.stringify(DATA), now, now);
  };
  const insertMany = raw.transaction((aggregates: readonly string[], version: number) => {
    for (const aggregate of aggregates) insertRow(aggregate, version);
  });
  try {
    return [
      await compare({
        name: `SQLite, ${CALLERS} callers appending one event at a time / prepared inserts, ${CALLERS} to a transaction`,
        amount: CALLERS * EVENTS_EACH,
        raw: async () => {
          const aggregates = names(CALLERS);
          for (let version = 1; version <= EVENTS_EACH; version++) insertMany(aggregates, version);
        },
        ours: () => appendByCallers(store, CALLERS, EVENTS_EACH),
      }),
      await compare({
        name: "SQLite, one caller appending one event at a time / prepared inserts, one to a transaction",
        amount: 500,
        raw: async () => {
          const [aggregate = ""] = names(1);
          for (let version = 1; version <= 500; version++) insertMany([aggregate], version);
        },
        ours: () => appendByCallers(store, 1, 500),
      }),
    ];
  } finally {
    raw.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
