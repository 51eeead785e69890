// A database for each file, a schema for each test, what is opened in it, and what is made of it.
import { randomBytes } from "node:crypto";
import { createPostgresStore, type PostgresOptions, type PostgresStore } from "@tidemark/adapter-postgres";
import { type AppendRequest, isTidemarkError, type StoreOptions } from "@tidemark/core";
import { createDatabase, type FreshDatabase } from "@tidemark/test-servers";
import { Client, Pool, type PoolConfig } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, vi } from "vitest";

export let url: string;
/** Of this test; connections of its stores call themselves the same. */
export let schemaName: string;
export const cleanups: (() => unknown)[] = [];

/** Call it once, where the server is known. The database may be left to a server that does not outlive the tests. */
export function useDatabase(server: { readonly url: string }, { drops = true } = {}): void {
  let database: FreshDatabase;
  beforeAll(async () => {
    database = await createDatabase(server.url);
    url = database.url;
  });
  beforeEach(() => {
    schemaName = `t_${randomBytes(6).toString("hex")}`;
  });
  afterEach(cleanUp);
  if (drops) afterAll(() => database.drop());
}

async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
}

type Settings = Omit<PostgresOptions & StoreOptions, "connection" | "pool">;

/** A store on a pool of its own. */
export async function open(config: PoolConfig = {}, settings: Settings = {}): Promise<PostgresStore> {
  const connection = { connectionString: url, application_name: schemaName, ...config };
  return closing(await createPostgresStore({ connection, schemaName, ...settings }));
}

/** A store on a pool that is lent to it. */
export async function borrow(pool: Pool, settings: Settings = {}): Promise<PostgresStore> {
  return closing(await createPostgresStore({ pool, schemaName, ...settings }));
}

export function closing(store: PostgresStore): PostgresStore {
  cleanups.push(() => store.close());
  return store;
}

export function openPool(config: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: url, application_name: schemaName, ...config });
  pool.on("error", () => undefined);
  cleanups.push(() => pool.end());
  return pool;
}

/** A connection beside all stores. */
export async function connect(to: string = url): Promise<Client> {
  const client = new Client({ connectionString: to });
  client.on("error", () => undefined);
  await client.connect();
  cleanups.push(() => client.end());
  return client;
}

/** Whether a connection waits for a lock. */
export async function isWaiting(watcher: Client, client: Client): Promise<boolean> {
  const pid: unknown = Reflect.get(client, "processID");
  const { rowCount } = await watcher.query("select from pg_locks where not granted and pid = $1", [pid]);
  return rowCount !== 0;
}

export interface Backend {
  readonly pid: number;
  readonly state: string;
  readonly query: string;
  /** For a lock. */
  readonly waits: boolean;
}

/** What the server knows of the connections of this test's stores. */
export async function backends(watcher: Client, name: string = schemaName): Promise<readonly Backend[]> {
  // What the server shows of its connections stands still for somebody inside of a transaction.
  await watcher.query("select pg_stat_clear_snapshot()");
  const { rows } = await watcher.query<Backend>(
    `select pid, state, query, wait_event_type is not distinct from 'Lock' as waits
     from pg_stat_activity where application_name = $1 order by pid`,
    [name],
  );
  return rows;
}

/** Ends connections of this test's stores, as an operator does. */
export async function terminate(watcher: Client, pids: readonly number[]): Promise<void> {
  await watcher.query("select pg_terminate_backend(pid) from unnest($1::integer[]) pid", [pids]);
  await until(async () => {
    const { rowCount } = await watcher.query("select from pg_stat_activity where pid = any ($1)", [pids]);
    return rowCount === 0;
  });
}

/** Waits until a condition holds. */
export function until(holds: () => unknown, timeout = 20_000): Promise<void> {
  return vi.waitFor(
    async () => {
      if (!(await holds())) throw new Error(`It does not come to be: ${holds.toString()}`);
    },
    { timeout, interval: 20 },
  );
}

/** A promise to be resolved by hand. */
export function latch(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

export function placed(id: string): AppendRequest {
  return { aggregate: { type: "order", id }, events: [{ type: "placed", data: { id } }] };
}

/** What a promise is rejected with. */
export async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "resolved",
    (error: unknown) => error,
  );
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const thrown = await thrownBy(promise);
  return isTidemarkError(thrown) ? thrown.code : String(thrown);
}

export async function idsOf(store: PostgresStore): Promise<readonly string[]> {
  return (await store.readAll({ limit: 10_000 })).events.map((event) => event.aggregate.id);
}

/** Calls until it is answered. */
export async function persist<T>(call: () => Promise<T>): Promise<T> {
  let value: { readonly of: T } | undefined;
  await until(async () => {
    value = await call().then(
      (of) => ({ of }),
      () => undefined,
    );
    return value;
  });
  if (value === undefined) throw new Error("Not answered.");
  return value.of;
}
