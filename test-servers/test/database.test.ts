import { createDatabase, explain, type FreshDatabase, findServer, type TestServer } from "@tidemark/test-servers";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

let server: TestServer;

beforeAll(async () => {
  const answer = await findServer("postgres-oldest", { ways: ["npm"] });
  if (answer.kind === "missing") throw new Error(explain(answer));
  server = answer.server;
}, 60_000);

afterAll(() => server.stop());

test("many are made at once, each empty and with a name of its own", async () => {
  const databases = await Promise.all(Array.from({ length: 10 }, () => createDatabase(server.url)));
  expect(new Set(databases.map(({ url }) => url)).size).toBe(10);
  await using client = await connected(databases[0]);
  expect((await client.query("select from pg_tables where schemaname = 'public'")).rowCount).toBe(0);
  await Promise.all(databases.map(({ drop }) => drop()));
});

test("it is dropped under an open connection, and a second time", async () => {
  const database = await createDatabase(server.url);
  const client = await connected(database);
  await database.drop();
  await database.drop();
  await expect(client.query("select 1")).rejects.toThrow();
  await expect(connected(database)).rejects.toThrow(/does not exist/);
});

test("a URL of another kind of server is an error", async () => {
  await expect(createDatabase("sqlite:///tmp/file")).rejects.toThrow(
    "Nobody knows how to make a database behind sqlite:",
  );
});

async function connected(database: FreshDatabase | undefined): Promise<Client & AsyncDisposable> {
  const client = new Client(database?.url);
  client.on("error", () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
