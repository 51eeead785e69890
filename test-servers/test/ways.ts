// What every way to every server has to hold.
import { execFileSync } from "node:child_process";
import { createDatabase, explain, findServer, type Source, type TestServer } from "@tidemark/test-servers";
import { describe, expect, test } from "vitest";
import { nothingIsLeft, temporary, traces } from "./traces.ts";

type OwnWay = Exclude<Source, "url">;

/** A way to a server, and what is found there. */
export interface OpenWay {
  readonly name: string;
  readonly way: OwnWay;
  readonly version: RegExp;
  /** Why it cannot be tested here. */
  readonly closed?: string | undefined;
}

/** How the tests speak with one kind of server. */
export interface Dialect {
  readonly connect: (url: string) => Promise<Connection>;
  readonly settings: string;
  readonly fast: Readonly<Record<string, unknown>>;
  readonly durable: Readonly<Record<string, unknown>>;
  /** Without it, the last commits of a fast server go with a crash. */
  readonly flush: string;
}

interface Connection {
  /** The rows. */
  readonly ask: (sql: string) => Promise<readonly unknown[]>;
  readonly end: () => Promise<unknown>;
  /** Settles when it has ended, by whomever. */
  readonly ended: Promise<unknown>;
}

/** Asks on a connection of its own. */
export async function ask(dialect: Dialect, url: string, sql: string): Promise<readonly unknown[]> {
  const connection = await dialect.connect(url);
  try {
    return await connection.ask(sql);
  } finally {
    await connection.end();
  }
}

/** Which ways are open depends on the machine; a closed one is skipped with its reason. */
export function describeWays(dialect: Dialect, ways: readonly OpenWay[]): void {
  for (const { name, way, version, closed } of ways) {
    const title = `${name}, ${way}`;
    describe.skipIf(closed !== undefined)(closed === undefined ? title : `${title}: ${closed}`, () => {
      test("a fast one answers, has the settings that tests need, restarts, and leaves nothing behind", async () => {
        const server = await start(name, way);
        expect(server).toMatchObject({ name, source: way });
        expect(server.version).toMatch(version);
        expect(await ask(dialect, server.url, dialect.settings)).toEqual([dialect.fast]);
        const before = await traces(server.url);
        expect(before).not.toEqual([]);

        const database = await createDatabase(server.url);
        await ask(dialect, database.url, "create table written as select 42 as answer");
        await ask(dialect, database.url, dialect.flush);
        const connection = await dialect.connect(server.url);
        await server.restart?.();
        await connection.ended;
        expect(await ask(dialect, database.url, "select answer from written")).toEqual([{ answer: 42 }]);

        await Promise.all([server.stop(), server.stop()]);
        await nothingIsLeft(server.url, before);
      });

      test("a durable one has what was committed before a restart", async () => {
        const server = await start(name, way, true);
        const before = await traces(server.url);
        expect(await ask(dialect, server.url, dialect.settings)).toEqual([dialect.durable]);
        const database = await createDatabase(server.url);
        await ask(dialect, database.url, "create table written as select 42 as answer");
        await server.restart?.();
        expect(await ask(dialect, database.url, "select answer from written")).toEqual([{ answer: 42 }]);
        await server.stop();
        await nothingIsLeft(server.url, before);
      });
    });
  }
}

/** Without what somebody has set for their own tests: another image, a server that is required. */
const env = { PATH: process.env["PATH"] };

export async function start(name: string, way: OwnWay, durable = false): Promise<TestServer> {
  const answer = await findServer(name, { ways: [way], durable, env });
  if (answer.kind === "missing") throw new Error(explain(answer));
  return answer.server;
}

/** Why the server cannot be started from programs that are installed here, or nothing if it can. */
export async function whyNoBinaries(name: string): Promise<string | undefined> {
  const answer = await findServer(name, { ways: ["binaries"], env });
  if (answer.kind === "missing") return answer.tried[0]?.why;
  await answer.server.stop();
  return undefined;
}

/** Who runs the programs of that name that the running test has started. */
export function ownersOf(program: string): readonly string[] {
  return execFileSync("ps", ["-eo", "user,args"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(temporary) && line.includes(program))
    .flatMap((line) => line.split(" ")[0] ?? []);
}
