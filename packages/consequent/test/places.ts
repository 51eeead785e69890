// Stores of each adapter, a fresh one for each test, which may be opened again.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryStore } from "@tidemark/adapter-memory";
import { createMysqlStore } from "@tidemark/adapter-mysql";
import { createPostgresStore } from "@tidemark/adapter-postgres";
import { createSqliteStore } from "@tidemark/adapter-sqlite";
import type { Store } from "@tidemark/core";
import { createDatabase, type FreshDatabase } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";

export type AnyStore = Pick<Store<never>, "actorStores" | "eventStores" | "append" | "readAll" | "close">;

/** Opens what this test stores in. Closed when the test has ended. */
export type Open = () => Promise<AnyStore>;

/** The same tests on every adapter. `durable` ones open a store again. */
export function onEachAdapter(define: (open: Open) => void, { durable = false } = {}): void {
  if (!durable) describe("on memory", () => define(opener(createMemory)));
  describe("on sqlite", () => define(opener(createFile)));
  onServer("postgres", createSchema, define);
  onServer("mysql", createTables, define);
  onServer("mariadb", createTables, define);
}

function onServer(name: string, create: (url: string) => Place, define: (open: Open) => void): void {
  describeWithServer(name, ({ url }) => {
    let database: FreshDatabase;
    beforeAll(async () => {
      database = await createDatabase(url);
    });
    afterAll(() => database.drop());
    define(opener(() => create(database.url)));
  });
}

interface Place {
  readonly open: () => Promise<AnyStore>;
  readonly drop: () => void;
}

function opener(create: () => Place): Open {
  let place: Place;
  const opened: AnyStore[] = [];
  beforeEach(() => {
    place = create();
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
    place.drop();
  });
  return async () => {
    const store = await place.open();
    opened.push(store);
    return store;
  };
}

function createMemory(): Place {
  const store = createMemoryStore();
  return { open: () => store, drop: () => undefined };
}

function createFile(): Place {
  const folder = mkdtempSync(join(tmpdir(), "consequent-"));
  return {
    open: () => createSqliteStore({ file: join(folder, "actors.sqlite") }),
    drop: () => rmSync(folder, { recursive: true }),
  };
}

function createSchema(url: string): Place {
  const schemaName = `t_${randomBytes(6).toString("hex")}`;
  return {
    open: () => createPostgresStore({ connection: { connectionString: url, max: 4 }, schemaName }),
    drop: () => undefined,
  };
}

function createTables(url: string): Place {
  const prefix = `t_${randomBytes(6).toString("hex")}_`;
  return {
    open: () => createMysqlStore({ connection: { uri: url, connectionLimit: 4 }, prefix }),
    drop: () => undefined,
  };
}
