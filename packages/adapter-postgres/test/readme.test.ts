// The code of README.md and docs/operating-postgres.md: what they show is what is compiled and run here.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createPostgresStore, type PostgresStore } from "@tidemark/adapter-postgres";
import { isTidemarkError } from "@tidemark/core";
import { createDatabase, type FreshDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openOnPool, openWithTls } from "./readme/connect.ts";
import { placeWithDrizzle, takeWithDrizzle } from "./readme/drizzle.ts";
import { heldBackBy } from "./readme/holders.ts";
import { placeWithKysely, takeWithKysely } from "./readme/kysely.ts";
import { place } from "./readme/lent.ts";
import { migrationScript } from "./readme/migrations.ts";
import { invoice } from "./readme/within.ts";

const folder = join(import.meta.dirname, "readme");
const pages = ["../README.md", "../../../docs/operating-postgres.md"].map((page) =>
  readFileSync(join(import.meta.dirname, page), "utf8"),
);

function blocks(language: string): readonly string[] {
  const fenced = new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm");
  return pages.flatMap((page) => [...page.matchAll(fenced)].map(([, code]) => code ?? ""));
}

describe("the pages", () => {
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));

  test("show only code that is compiled and run here", () => {
    for (const block of blocks("ts")) expect(sources).toContain(block);
  });

  test("show all of it", () => {
    for (const source of sources) expect(blocks("ts")).toContain(source);
  });
});

describeWithServer("postgres", (server) => {
  let database: FreshDatabase;
  let pool: Pool;
  let store: PostgresStore;

  beforeAll(async () => {
    database = await createDatabase(server.url);
    pool = new Pool({ connectionString: database.url });
    await migrate();
    store = await openOnPool(pool, () => undefined);
    await pool.query(`
      create table stock (sku text primary key, available integer not null);
      insert into stock values ('A-1', 10);
      create table invoice (order_id text primary key)`);
  });

  afterAll(async () => {
    await store.close();
    await pool.end();
    await database.drop();
  });

  /** By the script for a role, which belongs to the whole server and may be somebody's already. */
  async function migrate(): Promise<void> {
    const role = `shop_${randomBytes(6).toString("hex")}`;
    await pool.query(`create role ${role}`);
    await pool.query(migrationScript(role));
    await pool.query(`drop owned by ${role}; drop role ${role}`);
  }

  async function available(): Promise<number> {
    const { rows } = await pool.query<{ available: number }>("select available from stock");
    return rows[0]?.available ?? NaN;
  }

  async function versionOf(type: string, id: string): Promise<number> {
    for await (const { version } of store.readAggregate({ type, id }, { direction: "backward", limit: 1 }))
      return version;
    return 0;
  }

  test("an event is appended", async () => {
    vi.stubEnv("DATABASE_URL", database.url);
    await import("./readme/use.ts");
    vi.unstubAllEnvs();
    expect(await versionOf("order", "42")).toBe(1);
  });

  test("options for TLS reach the driver", async () => {
    const [host, ca] = [new URL(database.url).hostname, join(import.meta.dirname, "readme", "use.ts")];
    const error: unknown = await openWithTls(host, "secret", ca).catch((thrown: unknown) => thrown);
    expect(isTidemarkError(error, "UNUSABLE") || isTidemarkError(error, "UNAVAILABLE")).toBe(true);
  });

  test.each([
    { how: "by itself", run: () => place(store, "by itself", "A-1"), type: "order", id: "by itself" },
    { how: "by Drizzle", run: () => placeWithDrizzle(store, "drizzle", "A-1"), type: "order", id: "drizzle" },
    { how: "by Kysely", run: () => placeWithKysely(store, "kysely", "A-1"), type: "order", id: "kysely" },
    { how: "in Drizzle's transaction", run: () => takeWithDrizzle(store, pool, "A-1"), type: "stock", id: "A-1" },
    { how: "in Kysely's transaction", run: () => takeWithKysely(store, pool, "A-1"), type: "stock", id: "A-1" },
  ])("row and event are written together $how", async ({ run, type, id }) => {
    const before = { stock: await available(), version: await versionOf(type, id) };
    await run();
    expect({ stock: await available(), version: await versionOf(type, id) }).toEqual({
      stock: before.stock - 1,
      version: before.version + 1,
    });
  });

  test("an invoice and its event are written together, or neither", async () => {
    await invoice(store, pool, "42");
    await expect(invoice(store, pool, "42")).rejects.toMatchObject({ code: "23505" });
    expect(await versionOf("order", "42")).toBe(2);
  });

  test("who holds readers back is told", async () => {
    const client = new Client({ connectionString: database.url, application_name: "slow import" });
    await client.connect();
    await client.query("begin");
    await store.within(client).append({ aggregate: { type: "order", id: "slow" }, events: [{ type: "x", data: {} }] });
    const told = await heldBackBy(store, 0);
    await client.query("rollback");
    await client.end();
    expect(told).toEqual([expect.stringMatching(/^slow import, session \d+: stops at \d+$/)]);
  });

  test("a store takes the schema that the script has made", async () => {
    const other = await createPostgresStore({ connection: database.url, schema: "check" });
    expect(other.logId).toBe(store.logId);
    await other.close();
  });

  test("the statements run", async () => {
    const client = new Client(database.url);
    await client.connect();
    for (const statements of blocks("sql")) {
      // One by one: an index that is made concurrently is not made in a transaction.
      for (const statement of statements.split(/;\n/)) await client.query(statement);
    }
    await client.end();
    expect(await store.head()).toBeGreaterThan(0n);
  });
});
