import { execFile, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { laws } from "@tidemark/conformance";
import { runConformance } from "@tidemark/conformance/vitest";
import { isTidemarkError, isTransient } from "@tidemark/core";
import { createDatabase, freePort } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { Client } from "pg";
import { afterAll, describe, expect, test, vi } from "vitest";
import { Wakeups } from "../src/wakeups.ts";
import {
  cleanups,
  codeOf,
  connect,
  idsOf,
  open,
  placed,
  schemaName,
  thrownBy,
  until,
  url,
  useDatabase,
} from "./fixture.ts";
import { createSubject } from "./subject.mjs";

const version = await promisify(execFile)("pgbouncer", ["--version"]).then(
  ({ stdout }) => stdout.split("\n")[0] ?? "",
  () => undefined,
);

if (version === undefined) {
  describe("behind PgBouncer", () => {
    test.skip("not tested: there is no pgbouncer on the PATH (Debian: apt-get install pgbouncer)", () => undefined);
  });
} else {
  describeWithServer("postgres", async (server) => {
    useDatabase(server);
    const bouncer = await startBouncer(server.url);
    afterAll(bouncer.stop);

    describe(`behind ${version} in transaction mode`, async () => {
      const database = await createDatabase(server.url);
      afterAll(database.drop);
      const subject = createSubject("postgres, pooled", bouncer.to(database.url), {
        direct: database.url,
        settings: { preparedStatements: false },
      });
      runConformance(subject, { laws: laws.filter(({ id }) => CHOSEN.test(id)) });
    });

    describe(`${version}, in transaction mode`, () => {
      test("with prepared statements says what to do about it", async () => {
        await open();
        // More clients than connections of the pooler, so that statements meet the wrong one.
        const store = await open(
          { connectionString: bouncer.to(url), max: 8 },
          { schema: "check", retry: { attempts: 1 } },
        );
        const errors: unknown[] = [];
        for (let round = 0; errors.length === 0 && round < 200; round++) {
          const calls = Array.from({ length: 8 }, (_, n) =>
            store.append(placed(`${round}-${n}`)).then(() => store.head()),
          );
          for (const outcome of await Promise.allSettled(calls)) {
            if (outcome.status === "rejected") errors.push(outcome.reason);
          }
        }
        expect(errors).not.toEqual([]);
        for (const error of errors) {
          expect(isTransient(error)).toBe(false);
          expect(isTidemarkError(error, "UNUSABLE") && error.message).toContain("preparedStatements: false");
        }
      });

      test("without prepared statements leaves no setting behind on the pooler's connections", async () => {
        const at = bouncer.to(url);
        const store = await open({ connectionString: at, max: 4 }, { preparedStatements: false });
        await Promise.all(Array.from({ length: 20 }, (_, n) => store.append(placed(`${n}`))));
        await store.transaction((_tx, inside) => inside.append(placed("lent")));
        await thrownBy(
          store.transaction(async (tx) => {
            await tx.query("select 1 / 0");
          }),
        );
        const pooled = await connect(at);
        for (let n = 0; n < 10; n++) {
          const { rows } = await pooled.query(`
            select current_setting('idle_in_transaction_session_timeout') as idle, current_setting('lock_timeout') as lock,
              coalesce(current_setting('tidemark_store.mark', true), '') as mark`);
          expect(rows).toEqual([{ idle: "0", lock: "0", mark: "" }]);
        }
      });

      test("a statement that is aborted is ended on the server", async () => {
        const watcher = await connect();
        const store = await open({ connectionString: bouncer.to(url), max: 1 }, { preparedStatements: false });
        const abort = new AbortController();
        const outcome = store.transaction(
          async (tx, inside) => {
            await inside.append(placed("1"));
            await tx.query("select pg_sleep(600), 'pooled'");
          },
          { signal: abort.signal },
        );
        const sleeping = async (): Promise<boolean> => {
          const { rowCount } = await watcher.query(
            "select from pg_stat_activity where state = 'active' and query like '%600), ''pooled''' and pid <> pg_backend_pid()",
          );
          return rowCount === 1;
        };
        await until(sleeping);
        abort.abort();
        expect(await codeOf(outcome)).toBe("ABORTED");
        await until(async () => !(await sleeping()));
        await until(async () => (await store.frontierHolders()).length === 0);
        expect(await idsOf(store)).toEqual([]);
      });

      test("is found out to pass on no notifications, and events are found by polling", async () => {
        const at = bouncer.to(url);
        const settings = { preparedStatements: false, notify: true, poll: { minMs: 5, maxMs: 50 } };
        const reader = await open({ connectionString: at, max: 4 }, settings);
        const writer = await open({ connectionString: at, max: 4 }, settings);
        const waited = reader.wait(await reader.head(), { timeoutMs: 30_000 });
        await writer.append(placed("1"));
        expect(await waited).toBe(1n);

        const times = { probeMs: 50, answerMs: 200, firstPauseMs: 10, longestPauseMs: 20 };
        let connections = 0;
        const wakeups = new Wakeups(
          () => {
            connections += 1;
            return new Client({ connectionString: at });
          },
          schemaName,
          times,
        );
        cleanups.push(() => wakeups.close());
        wakeups.listen(() => undefined);
        await until(() => {
          expect(wakeups.hears).toBe(false);
          return connections > 6;
        });
      });
    });
  });
}

/** What a pooler could break: transactions, locks, settings, order, leases. Without the longest ones. */
const CHOSEN =
  /^(append\/(expected|atomic|idempotent|batch|transaction|abort)|checkpoints\/commit|zones\/(exclusive|fenced\/(?!paused))|order\/(no-skip\/(?!permutations|storm|killed-process|many-appends)|no-stall|holders|real-positions))/;

interface Bouncer {
  /** The way to a database of the server through the pooler. */
  readonly to: (url: string) => string;
  readonly stop: () => Promise<void>;
}

/** On a free port, in transaction mode, with few connections to the server. */
async function startBouncer(serverUrl: string): Promise<Bouncer> {
  const { hostname, port: serverPort, username, password } = new URL(serverUrl);
  const folder = mkdtempSync(join(tmpdir(), "tidemark-pgbouncer-"));
  chmodSync(folder, 0o755);
  const port = await freePort("127.0.0.1");
  const users = join(folder, "users.txt");
  writeFileSync(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`);
  const ini = join(folder, "pgbouncer.ini");
  writeFileSync(
    ini,
    `[databases]
* = host=${hostname} port=${serverPort || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
default_pool_size = 6
max_client_conn = 500
server_idle_timeout = 5
`,
  );
  // It refuses to be root.
  const as = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = spawn("pgbouncer", ["-q", ...as, ini], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said = `${said}${bytes.toString()}`.slice(-2_000)));
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const to = (url: string): string => {
    const parts = new URL(url);
    parts.hostname = "127.0.0.1";
    parts.port = `${port}`;
    return parts.href;
  };
  await vi.waitFor(
    async () => {
      if (child.exitCode !== null) throw new Error(`pgbouncer has ended: ${said}`);
      const client = new Client({ connectionString: to(serverUrl) });
      client.on("error", () => undefined);
      await client.connect();
      await client.end();
    },
    { timeout: 20_000, interval: 50 },
  );
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", () => child.kill("SIGKILL"));
  return { to, stop };
}
