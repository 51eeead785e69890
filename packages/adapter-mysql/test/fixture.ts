// A database for each test, what is opened in it, and what is made of it.
import { createMysqlStore, type MysqlOptions, type MysqlStore } from "@tidemark/adapter-mysql";
import { type AppendRequest, isTidemarkError, type StoreOptions } from "@tidemark/core";
import { createDatabase, type FreshDatabase } from "@tidemark/test-servers";
import {
  type Connection,
  createConnection,
  createPool,
  type Pool,
  type PoolOptions,
  type ResultSetHeader,
  type RowDataPacket,
} from "mysql2/promise";
import { afterEach, beforeEach, vi } from "vitest";

/** Each test runs on both. */
export const FLAVOURS = ["mysql", "mariadb"] as const;

export let url: string;
/** Of this test: connections of its stores are connected to it, and those of {@link connect} are not. */
export let database: string;
export const cleanups: (() => unknown)[] = [];

let serverUrl: string;

/** Call it once for each server. */
export function useDatabase(server: { readonly url: string }): void {
  let fresh: FreshDatabase;
  beforeEach(async () => {
    serverUrl = server.url;
    fresh = await createDatabase(server.url);
    url = fresh.url;
    database = new URL(url).pathname.slice(1);
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
    await fresh.drop();
  });
}

export type Settings = Omit<MysqlOptions & StoreOptions, "connection" | "pool">;

/** A store on a pool of its own. */
export async function open(config: PoolOptions = {}, settings: Settings = {}): Promise<MysqlStore> {
  return closing(await createMysqlStore({ connection: { uri: url, ...config }, database, ...settings }));
}

/** A store on a pool that is lent to it. */
export async function borrow(pool: Pool, settings: Settings = {}): Promise<MysqlStore> {
  return closing(await createMysqlStore({ pool, database, ...settings }));
}

export function closing(store: MysqlStore): MysqlStore {
  cleanups.push(() => store.close());
  return store;
}

export function openPool(config: PoolOptions = {}): Pool {
  const pool = createPool({ uri: url, ...config });
  cleanups.push(() => pool.end());
  return pool;
}

/** How many connections a pool has, and how many of them nobody uses. */
export function countsOf(pool: Pool): { readonly all: number; readonly free: number; readonly waiting: number } {
  const { _allConnections, _freeConnections, _connectionQueue } = asInternals(pool);
  return { all: _allConnections.length, free: _freeConnections.length, waiting: _connectionQueue.length };
}

interface Internals {
  readonly _allConnections: { readonly length: number };
  readonly _freeConnections: { readonly length: number };
  readonly _connectionQueue: { readonly length: number };
}

function asInternals(pool: Pool): Internals {
  return pool.pool as unknown as Internals;
}

/** A connection beside all stores. */
export async function connect(to: string = serverUrl, config: PoolOptions = {}): Promise<Connection> {
  const client = await createConnection({ uri: to, ...config });
  client.on("error", () => undefined);
  cleanups.push(() => client.end().catch(() => undefined));
  return client;
}

export type Row = Readonly<Record<string, unknown>>;

export async function rowsOf(client: Pick<Connection, "query">, sql: string): Promise<readonly Row[]> {
  const [rows] = await client.query<RowDataPacket[]>(sql);
  return rows;
}

/** Whether a transaction is open on the connection. */
export async function isInTransaction(client: Pick<Connection, "query">): Promise<boolean> {
  const [{ serverStatus }] = await client.query<ResultSetHeader>("do 0");
  return (serverStatus & 1) === 1;
}

export interface Thread {
  readonly id: number;
  readonly command: string;
  readonly info: string;
}

/** What the server knows of the connections of this test's stores. */
export async function threads(watcher: Connection): Promise<readonly Thread[]> {
  // Not from the information schema, which on MySQL fails while any statement holds characters of four bytes.
  const rows = await rowsOf(watcher, "show full processlist");
  return rows
    .filter(({ db, Command }) => db === database && Command !== "Killed")
    .map(({ Id, Command, Info }) => ({ id: Number(Id), command: String(Command), info: String(Info) }));
}

/** Ends connections of this test's stores, as an operator does: all, if not told which. */
export async function terminate(watcher: Connection, ids?: readonly number[]): Promise<void> {
  const ended = ids ?? (await threads(watcher)).map(({ id }) => id);
  for (const id of ended) await watcher.query(`kill ${id}`).catch(() => undefined);
  await until(async () => (await threads(watcher)).every(({ id }) => !ended.includes(id)));
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

export async function idsOf(store: MysqlStore): Promise<readonly string[]> {
  return (await store.readAll({ limit: 10_000 })).events.map((event) => event.aggregate.id);
}

export async function allOf<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
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
