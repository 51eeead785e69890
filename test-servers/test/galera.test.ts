import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { explainGalera, startGalera } from "@tidemark/test-servers/galera";
import { describeWithGalera } from "@tidemark/test-servers/galera-vitest";
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { describe, expect, test, vi } from "vitest";
import { nothingIsLeft, temporary, traces } from "./traces.ts";

vi.setConfig({ testTimeout: 600_000 });

describeWithGalera(() => {
  test("three nodes are one cluster, which goes on without one of them and leaves nothing behind", async () => {
    const galera = await startGalera();
    const [first, second, third] = galera.nodes;
    if (first === undefined || second === undefined || third === undefined) throw new Error("There are not three.");
    const synced = { status: "synced", primary: true };
    try {
      expect(galera.nodes.map((node) => node.state())).toEqual(Array(3).fill({ ...synced, size: 3 }));
      await ask(first.url, "create table written (id int primary key)");
      await ask(first.url, "insert into written values (1)");
      expect(await ids(third.url)).toEqual([1]);

      await second.kill();
      await expect(ask(second.url, "select 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
      expect(second.state()).toBeUndefined();
      await ask(third.url, "insert into written values (2)");
      expect(await ids(first.url)).toEqual([1, 2]);
      expect(await size(first.url)).toBe("2");

      await second.restart();
      expect(await ids(second.url)).toEqual([1, 2]);
      expect(await size(second.url)).toBe("3");
      expect(second.state()).toEqual({ ...synced, size: 3 });

      await Promise.all([second.kill(), third.kill()]);
      await vi.waitFor(() => expect(first.state()).toMatchObject({ primary: false }), { timeout: 60_000 });
      await expect(ask(first.url, "select id from written")).rejects.toMatchObject({ errno: 1047 });
      await Promise.all([second.restart(), third.restart()]);
      expect(await ids(first.url)).toEqual([1, 2]);
    } finally {
      await Promise.all([galera.stop(), galera.stop()]);
    }
    for (const { url } of galera.nodes) await nothingIsLeft(url);
  });

  test("a cluster that is given up while it starts leaves nothing behind", async () => {
    const given = new AbortController();
    const starting = startGalera({ signal: given.signal });
    starting.catch(() => {});
    await vi.waitFor(async () => expect((await traces(NOWHERE)).join()).toContain("wsrep-new-cluster"), {
      timeout: 30_000,
    });
    given.abort(new Error("given up"));
    await expect(starting).rejects.toThrow("given up");
    await nothingIsLeft(NOWHERE);
  });
});

describe("where it cannot be started", () => {
  test("what is missing is named, and how to get it", () => {
    expect(explainGalera({ PATH: temporary })).toMatch(/no rsync\b.*apt-get install .*galera-4/);
  });

  test("one test says so, skipped", () => {
    const { status, output } = runWithoutPrograms({});
    expect(output).toMatch(/on galera > not tested: galera is missing: .*no rsync.*apt-get install/);
    expect(output).toMatch(/Tests +1 skipped/);
    expect(status).toBe(0);
  });

  test("it fails if TIDEMARK_REQUIRE lists galera", () => {
    const { status, output } = runWithoutPrograms({ TIDEMARK_REQUIRE: "galera" });
    expect(output).toMatch(/on galera > galera is there, as TIDEMARK_REQUIRE demands/);
    expect(output).toMatch(/galera is missing: .*no rsync.*apt-get install/);
    expect(status).toBe(1);
  });
});

const NOWHERE = "mysql://127.0.0.1:1/mysql";

/** vitest, on the file of `fixtures/galera`. */
function runWithoutPrograms(env: Readonly<Record<string, string>>) {
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  const outer = Object.entries(process.env).filter(([name]) => !/^(VITEST|TIDEMARK)/.test(name));
  const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, "run", "--reporter=verbose"], {
    cwd: join(import.meta.dirname, "fixtures", "galera"),
    env: { ...Object.fromEntries(outer), NO_COLOR: "1", ...env, PATH: temporary },
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}

interface IdRow extends RowDataPacket {
  readonly id: number;
}

/** What the cluster has committed, from any node. */
async function ids(url: string): Promise<readonly number[]> {
  const rows = await ask<IdRow>(url, "select id from written order by id", "set session wsrep_sync_wait = 1");
  return rows.map(({ id }) => id);
}

interface StatusRow extends RowDataPacket {
  readonly Value: string;
}

async function size(url: string): Promise<string | undefined> {
  const [row] = await ask<StatusRow>(url, "show status like 'wsrep_cluster_size'");
  return row?.Value;
}

async function ask<Row extends RowDataPacket>(url: string, sql: string, before = "do 0"): Promise<readonly Row[]> {
  const client = await createConnection(url);
  try {
    await client.query(before);
    const [rows] = await client.query<Row[]>(sql);
    return rows;
  } finally {
    client.destroy();
  }
}
