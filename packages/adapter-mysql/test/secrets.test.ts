import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, promisify } from "node:util";
import { createMysqlStore, type MysqlOptions } from "@tidemark/adapter-mysql";
import { isTidemarkError } from "@tidemark/core";
import { explain, findServer } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { createPool } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closing, connect, database, FLAVOURS, placed, rowsOf, thrownBy, url, useDatabase } from "./fixture.ts";

const SECRET = "Sw0rdf1sh";

/** The error of an attempt to open a store. */
async function refusal(options: MysqlOptions): Promise<unknown> {
  return thrownBy((async () => closing(await createMysqlStore(options)))());
}

/** Everything that a log, a report or a debugger shows of an error. */
function shown(error: unknown): string {
  const deep = inspect(error, { depth: 20, showHidden: true, getters: true });
  const json = JSON.stringify(error, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value));
  const stacks = error instanceof Error ? `${error.stack} ${inspect(error.cause, { depth: 20 })}` : "";
  return `${String(error)} ${deep} ${json} ${stacks}`;
}

function at(change: (parts: URL) => void): string {
  const parts = new URL(url);
  parts.password = SECRET;
  change(parts);
  return parts.href;
}

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    const user = `secretive_${flavour}_${process.pid}`;
    beforeAll(async () => {
      const admin = await connect(server.url);
      await admin.query(`create user ${user} identified by '${SECRET}'`);
    });
    afterAll(async () => {
      const admin = await connect(server.url);
      await admin.query(`drop user ${user}`);
      await admin.end();
    });

    describe("no error shows the password", () => {
      const broken: readonly (readonly [string, string, () => MysqlOptions])[] = [
        ["a port where nobody listens", "UNAVAILABLE", () => ({ connection: at((one) => (one.port = "1")) })],
        [
          "a host that has no address",
          "UNAVAILABLE",
          () => ({ connection: at((one) => (one.hostname = "nowhere.invalid")) }),
        ],
        ["another password", "UNUSABLE", () => ({ connection: at((one) => (one.password = `${SECRET}-wrong`)) })],
        ["a user without rights", "UNUSABLE", () => ({ connection: at((one) => (one.username = user)) })],
        [
          "a database that is not there",
          "UNUSABLE",
          () => ({ connection: Object.assign(new URL(server.url), { pathname: "/nowhere" }).href }),
        ],
        [
          "a configuration",
          "UNAVAILABLE",
          () => ({ connection: { host: "127.0.0.1", port: 1, password: SECRET, database: "test" } }),
        ],
        [
          "a pool",
          "UNAVAILABLE",
          () => ({ pool: createPool({ host: "127.0.0.1", port: 1, password: SECRET, database: "test" }) }),
        ],
        ["another protocol", "INVALID_ARGUMENT", () => ({ connection: `postgres://user:${SECRET}@127.0.0.1/db` })],
        ["a URL that is none", "INVALID_ARGUMENT", () => ({ connection: `mysql://user:${SECRET}@[host/db` })],
        ["a port that is none", "INVALID_ARGUMENT", () => ({ connection: `mysql://user:${SECRET}@host:port/db` })],
        [
          "a password not encoded",
          "INVALID_ARGUMENT",
          () => ({ connection: `mysql://user:${SECRET}%zz@127.0.0.1/db` }),
        ],
        ["a password in words", "INVALID_ARGUMENT", () => ({ connection: `host=127.0.0.1 password=${SECRET}` })],
        ["no database", "INVALID_ARGUMENT", () => ({ connection: `mysql://user:${SECRET}@127.0.0.1` })],
        ["other options", "INVALID_ARGUMENT", () => ({ connection: at(() => undefined), waitMs: -1 })],
        [
          "fewer connections than none",
          "INVALID_ARGUMENT",
          () => ({ connection: { uri: at(() => undefined), connectionLimit: -1 } }),
        ],
        ["another prefix", "INVALID_ARGUMENT", () => ({ connection: at(() => undefined), prefix: "not this" })],
        [
          "a profile of TLS that is none",
          "UNUSABLE",
          () => ({ connection: { uri: at(() => undefined), ssl: "none" } }),
        ],
      ];

      test.each(broken)("of %s", async (_name, code, options) => {
        const error = await refusal(options());
        expect(error).toMatchObject({ code });
        expect(shown(error)).not.toContain(SECRET);
        const { password } = new URL(server.url);
        if (password !== "") expect(shown(error)).not.toContain(password);
      });

      test("after it was connected", async () => {
        const admin = await connect();
        await admin.query(`grant all on ${database}.* to ${user}`);
        const connection = at((one) => (one.username = user));
        const store = closing(await createMysqlStore({ connection }));
        const error = await thrownBy(
          store.transaction(async (tx) => {
            const [{ id } = { id: undefined }] = await rowsOf(tx, "select connection_id() as id");
            await admin.query(`kill ${String(id)}`);
            await tx.query("select 1");
          }),
        );
        expect(error).toMatchObject({ code: "UNAVAILABLE" });
        expect(shown(error)).not.toContain(SECRET);
        expect(shown(store)).not.toContain(SECRET);
        const refused = await thrownBy(store.transaction((tx) => tx.query("insert into nowhere.nothing values (1)")));
        expect(shown(refused)).not.toContain(SECRET);
      });
    });
  });

  describe(`over TLS, on ${flavour}`, async () => {
    const run = promisify(execFile);
    const hasOpenssl = await run("openssl", ["version"]).then(
      () => true,
      () => false,
    );
    if (!hasOpenssl) {
      return test.skip("not tested: there is no openssl to make a certificate with (apt-get install openssl)", () =>
        undefined);
    }
    const answer = await findServer(flavour, { ways: ["container", "binaries"] });
    if (answer.kind === "missing") return test.skip(`not tested: ${explain(answer)}`, () => undefined);
    const { server } = answer;
    afterAll(() => server.stop());
    useDatabase(server);

    /** Somebody else's. */
    let otherCa: string;
    /** The server's own, where it makes one for itself as MySQL does. */
    let ca: string | undefined;
    let folder: string;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "tidemark-tls-"));
      const crt = join(folder, "other.crt");
      const asked = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tidemark test"];
      await run("openssl", [...asked, "-keyout", join(folder, "other.key"), "-out", crt]);
      otherCa = readFileSync(crt, "utf8");
      const admin = await connect(server.url);
      ca = await caOf(admin);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const speaks = async (): Promise<boolean> => {
      const [row] = await rowsOf(await connect(), "show variables where variable_name in ('have_ssl', 'tls_version')");
      return row?.["Value"] !== "DISABLED" && row?.["Value"] !== "";
    };

    /** Which connections of the store speak it: those that it lends, and those beside. */
    async function encrypted(options: MysqlOptions): Promise<readonly boolean[]> {
      const store = closing(await createMysqlStore({ database, ...options }));
      await store.append(placed("1"));
      const lent = await store.transaction(async (tx) => rowsOf(tx, "show session status like 'ssl_cipher'"));
      // Whoever has to use TLS and does not is not let in.
      const isBeside = await thrownBy(store.readAll());
      return [lent[0]?.["Value"] !== "", isBeside === "resolved"];
    }

    test("the options of the connection are those of all sessions", async (context) => {
      if (!(await speaks())) return context.skip("the server does not speak TLS");
      const admin = await connect();
      await admin.query(`create user only_tls identified by '${SECRET}' require ssl`);
      try {
        await admin.query(`grant all on ${database}.* to only_tls`);
        const uri = at((one) => (one.username = "only_tls"));
        expect(await encrypted({ connection: { uri, ssl: { rejectUnauthorized: false } } })).toEqual([true, true]);
        const pool = createPool({ uri, ssl: { rejectUnauthorized: false } });
        try {
          expect(await encrypted({ pool })).toEqual([true, true]);
        } finally {
          await pool.end();
        }
        if (ca !== undefined) {
          const verified = { ca, verifyIdentity: false };
          expect(await encrypted({ connection: { uri, ssl: verified } })).toEqual([true, true]);
        }
        const plain = await refusal({ connection: uri, database });
        expect(plain).toMatchObject({ code: "UNUSABLE" });
        expect(shown(plain)).not.toContain(SECRET);
      } finally {
        await admin.query("drop user only_tls");
      }
    });

    test("a certificate by another authority is refused", async (context) => {
      if (!(await speaks())) return context.skip("the server does not speak TLS");
      for (const ssl of [{ ca: otherCa }, {}]) {
        const error = await refusal({ connection: { uri: url, ssl }, database });
        expect(error).toMatchObject({ code: "UNUSABLE" });
        expect(isTidemarkError(error) && error.message).toContain("TLS");
        expect(shown(error)).not.toContain(new URL(url).password);
      }
    });

    test("a server without TLS, asked for it, is named as the reason", async (context) => {
      if (await speaks()) return context.skip("the server speaks TLS");
      const error = await refusal({ connection: { uri: url, ssl: { ca: otherCa } }, database });
      expect(isTidemarkError(error, "UNUSABLE") && error.message).toContain("TLS");
    });
  });
}

/** The server reads the file itself, wherever it runs. */
async function caOf(admin: Awaited<ReturnType<typeof connect>>): Promise<string | undefined> {
  const [row] = await rowsOf(admin, "select convert(load_file(concat(@@datadir, 'ca.pem')) using utf8mb4) as ca");
  return typeof row?.["ca"] === "string" ? row["ca"] : undefined;
}
