// The code of README.md and docs/operating-mysql.md: what they show is what is compiled and run here.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createMysqlStore, type MysqlStore } from "@tidemark/adapter-mysql";
import { isTidemarkError } from "@tidemark/core";
import { createDatabase, type FreshDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { createConnection, createPool, type Pool, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createBoundedPool } from "./readme/bounded.ts";
import { openOnPool, openWithTls } from "./readme/connect.ts";
import { placeWithDrizzle, takeWithDrizzle } from "./readme/drizzle.ts";
import { heldBackBy } from "./readme/holders.ts";
import { placeWithKysely, takeWithKysely } from "./readme/kysely.ts";
import { place } from "./readme/lent.ts";
import { migrationScript } from "./readme/migrations.ts";
import { invoice } from "./readme/within.ts";

const folder = join(import.meta.dirname, "readme");
const pages = ["../README.md", "../../../docs/operating-mysql.md"].map((page) =>
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

describe.each(["mysql", "mariadb"])("the code", (name) => {
  describeWithServer(name, (server) => {
    let database: FreshDatabase;
    let pool: Pool;
    let store: MysqlStore;

    beforeAll(async () => {
      database = await createDatabase(server.url);
      await migrate();
      pool = createPool({ uri: database.url });
      store = await openOnPool(pool);
      await pool.query("create table stock (sku varchar(50) primary key, available int not null)");
      await pool.query("insert into stock values ('A-1', 10)");
      await pool.query("create table invoice (order_id varchar(50) primary key)");
    });

    afterAll(async () => {
      await store.close();
      await pool.end();
      await database.drop();
    });

    /** By the script for a user, which belongs to the whole server and may be somebody's already. */
    async function migrate(): Promise<void> {
      const user = `shop_${randomBytes(6).toString("hex")}`;
      await run(
        `create user '${user}'@'%';
         ${migrationScript(new URL(database.url).pathname.slice(1), user)}
         drop user '${user}'@'%';`,
      );
    }

    /** Several statements, as a console takes them. */
    async function run(script: string): Promise<void> {
      const connection = await createConnection({ uri: database.url, multipleStatements: true });
      await connection.query(script);
      await connection.end();
    }

    async function available(): Promise<unknown> {
      const [rows] = await pool.query<RowDataPacket[]>("select available from stock");
      return rows[0]?.["available"];
    }

    async function versionOf(type: string, id: string): Promise<number> {
      for await (const { version } of store.readAggregate({ type, id }, { direction: "backward", limit: 1 }))
        return version;
      return 0;
    }

    test("an event is appended", async () => {
      vi.stubEnv("DATABASE_URL", database.url);
      vi.resetModules();
      await import("./readme/use.ts");
      vi.unstubAllEnvs();
      expect(await versionOf("order", "42")).toBe(1);
    });

    test("options for TLS reach the driver", async () => {
      const ca = join(import.meta.dirname, "readme", "use.ts");
      const error: unknown = await openWithTls("127.0.0.1", "secret", ca).catch((thrown: unknown) => thrown);
      expect(isTidemarkError(error, "UNUSABLE") || isTidemarkError(error, "UNAVAILABLE")).toBe(true);
    });

    test.each([
      { how: "by itself", run: () => place(store, "by itself", "A-1"), type: "order", id: "by itself" },
      { how: "by Drizzle", run: () => placeWithDrizzle(store, "drizzle", "A-1"), type: "order", id: "drizzle" },
      { how: "by Kysely", run: () => placeWithKysely(store, "kysely", "A-1"), type: "order", id: "kysely" },
      { how: "in Drizzle's transaction", run: () => takeWithDrizzle(store, pool, "A-1"), type: "stock", id: "A-1" },
      { how: "in Kysely's transaction", run: () => takeWithKysely(store, pool, "A-1"), type: "stock", id: "A-1" },
    ])("row and event are written together $how", async (written) => {
      const before = { stock: await available(), version: await versionOf(written.type, written.id) };
      await written.run();
      expect({ stock: await available(), version: await versionOf(written.type, written.id) }).toEqual({
        stock: Number(before.stock) - 1,
        version: before.version + 1,
      });
    });

    test("an invoice and its event are written together, or neither", async () => {
      await invoice(store, pool, "42");
      await expect(invoice(store, pool, "42")).rejects.toMatchObject({ errno: 1062 });
      expect(await versionOf("order", "42")).toBe(2);
    });

    test("who holds readers back is told, and can be ended", async () => {
      const connection = await createConnection({ uri: database.url });
      connection.on("error", () => undefined);
      await connection.beginTransaction();
      await store
        .within(connection)
        .append({ aggregate: { type: "order", id: "slow" }, events: [{ type: "x", data: {} }] });
      expect(await heldBackBy(store, 0)).toEqual([
        expect.stringMatching(new RegExp(`^session ${connection.threadId}: stops at \\d+$`)),
      ]);
      await pool.query(`kill ${connection.threadId}`);
      await expect.poll(() => heldBackBy(store, 0), { timeout: 20_000 }).toEqual([]);
    });

    test("a pool with bounds is one that a store takes", async () => {
      const bounded = createBoundedPool(database.url);
      const other = await openOnPool(bounded);
      await invoice(other, bounded, "bounded");
      const [rows] = await bounded.query("select @@wait_timeout as seconds, @@innodb_lock_wait_timeout as patience");
      expect(rows).toEqual([{ seconds: 60, patience: 10 }]);
      await other.close();
      await bounded.end();
      expect(await versionOf("order", "bounded")).toBe(1);
    });

    test("a store takes the tables that the script has made", async () => {
      const other = await createMysqlStore({ connection: database.url, schema: "check" });
      expect(other.logId).toBe(store.logId);
      await other.close();
    });

    test("the statements run", async () => {
      for (const statements of blocks("sql")) await run(statements);
      expect(await store.head()).toBeGreaterThan(0n);
    });
  });
});
