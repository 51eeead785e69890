import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, promisify } from "node:util";
import { createPostgresStore, type PostgresOptions } from "@tidemark/adapter-postgres";
import { isTidemarkError } from "@tidemark/core";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closing, codeOf, connect, placed, schemaName, thrownBy, url, useDatabase } from "./fixture.ts";

const SECRET = "Sw0rdf1sh";

/** The error of an attempt to open a store. */
async function refusal(options: PostgresOptions): Promise<unknown> {
  return thrownBy((async () => closing(await createPostgresStore({ schemaName, ...options })))());
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

describeWithServer("postgres", (server) => {
  useDatabase(server);

  let role: string;
  beforeAll(async () => {
    const admin = await connect();
    role = `secretive_${Date.now()}`;
    await admin.query(`create role ${role} login password '${SECRET}'`);
  });
  afterAll(async () => {
    const admin = new Client({ connectionString: url });
    await admin.connect();
    await admin.query(`drop role ${role}`);
    await admin.end();
  });

  describe("no error shows the password", () => {
    const broken: readonly (readonly [string, string, () => PostgresOptions])[] = [
      ["a database that is not there", "UNUSABLE", () => ({ connection: at((one) => (one.pathname = "/nowhere")) })],
      ["a port where nobody listens", "UNAVAILABLE", () => ({ connection: at((one) => (one.port = "1")) })],
      [
        "a host that has no address",
        "UNAVAILABLE",
        () => ({ connection: at((one) => (one.hostname = "nowhere.invalid")) }),
      ],
      ["a user without rights", "UNUSABLE", () => ({ connection: at((one) => (one.username = role)) })],
      [
        "a file that is not there",
        "UNUSABLE",
        () => ({ connection: at((one) => one.searchParams.set("sslrootcert", "/nowhere/ca.crt")) }),
      ],
      ["a configuration", "UNAVAILABLE", () => ({ connection: { host: "127.0.0.1", port: 1, password: SECRET } })],
      ["a pool", "UNAVAILABLE", () => ({ pool: new Pool({ host: "127.0.0.1", port: 1, password: SECRET }) })],
      ["another protocol", "INVALID_ARGUMENT", () => ({ connection: `mysql://user:${SECRET}@127.0.0.1/db` })],
      ["a URL that is none", "INVALID_ARGUMENT", () => ({ connection: `postgres://user:${SECRET}@[host/db` })],
      ["a port that is none", "INVALID_ARGUMENT", () => ({ connection: `postgres://user:${SECRET}@host:port/db` })],
      [
        "a password not encoded",
        "INVALID_ARGUMENT",
        () => ({ connection: `postgres://user:${SECRET}%zz@127.0.0.1/db` }),
      ],
      ["a password in words", "INVALID_ARGUMENT", () => ({ connection: `host=127.0.0.1 password=${SECRET}` })],
      ["other options", "INVALID_ARGUMENT", () => ({ connection: at(() => undefined), waitMs: -1 })],
      [
        "another schema's name",
        "INVALID_ARGUMENT",
        () => ({ connection: at(() => undefined), schemaName: "Not This" }),
      ],
    ];

    test.each(broken)("of %s", async (_name, code, options) => {
      const error = await refusal(options());
      expect(error).toMatchObject({ code });
      expect(shown(error)).not.toContain(SECRET);
    });

    test("that the server refuses, which leaves no line open", { timeout: 30_000 }, async (context) => {
      const error = await refusal({ connection: at((one) => (one.password = `${SECRET}-wrong`)) });
      if (error === "resolved") return context.skip("the server lets everybody in, whatever the password");
      expect(error).toMatchObject({ code: "UNUSABLE" });
      expect(shown(error)).not.toContain(SECRET);
      const without = await refusal({ connection: at((one) => (one.password = "")) });
      expect(without).toMatchObject({ code: "UNUSABLE" });
      // It waits for those who are logging in, as long as the server does: a minute.
      await (await createDatabase(server.url)).drop();
    });

    test("after it was connected", async () => {
      const connection = at((one) => {
        const real = new URL(url);
        one.password = real.password;
      });
      const password = new URL(url).password;
      const store = closing(await createPostgresStore({ connection, schemaName }));
      const error = await thrownBy(
        store.transaction(async (tx) => {
          await tx.query("select pg_terminate_backend(pg_backend_pid())");
        }),
      );
      expect(error).toMatchObject({ code: "UNAVAILABLE" });
      if (password !== "") expect(shown(error)).not.toContain(password);
      expect(shown(store)).not.toContain(connection);
    });
  });

  test("a server without TLS, asked for it, is named as the reason", async (context) => {
    const admin = await connect();
    const { rows } = await admin.query<{ ssl: string }>("show ssl");
    if (rows[0]?.ssl === "on") return context.skip("the server speaks TLS");
    const connection = new URL(url);
    connection.searchParams.set("sslmode", "verify-full");
    const error = await refusal({ connection: connection.href });
    expect(isTidemarkError(error, "UNUSABLE") && error.message).toContain("TLS");
  });
});

describe("over TLS", async () => {
  const run = promisify(execFile);
  const hasOpenssl = await run("openssl", ["version"]).then(
    () => true,
    () => false,
  );
  if (!hasOpenssl)
    return test.skip("not tested: there is no openssl to make a certificate with (apt-get install openssl)");
  const answer = await findServer("postgres", { ways: ["container", "binaries", "npm"] });
  if (answer.kind === "missing") return test.skip(`not tested: ${explain(answer)}`);
  const { server } = answer;
  afterAll(() => server.stop());
  useDatabase(server);

  let folder: string;
  let ca: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tidemark-tls-"));
    const key = join(folder, "server.key");
    const crt = join(folder, "server.crt");
    const subject = ["-subj", "/CN=tidemark test", "-addext", "subjectAltName=DNS:localhost"];
    await run("openssl", [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-keyout",
      key,
      "-out",
      crt,
      ...subject,
    ]);
    ca = readFileSync(crt, "utf8");
    const admin = await connect(server.url);
    // The server runs as somebody else, maybe in a container: it writes the files itself, beside its data.
    for (const file of ["server.key", "server.crt"]) {
      const bytes = readFileSync(join(folder, file)).toString("base64");
      await admin.query(`copy (select '${bytes}') to program 'umask 077; base64 -d > ${file}'`);
    }
    await admin.query("alter system set ssl = on");
    await admin.query("select pg_reload_conf()");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const host = (name: string): string => {
    const parts = new URL(url);
    parts.hostname = name;
    return parts.href;
  };
  const encrypted = async (options: PostgresOptions): Promise<unknown> => {
    const store = closing(await createPostgresStore({ schemaName, ...options }));
    return store.transaction(async (tx) => {
      const { rows } = await tx.query<{ ssl: boolean }>("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
      return rows[0]?.ssl;
    });
  };

  test("the options of the connection are passed on", async () => {
    expect(await encrypted({ connection: { connectionString: host("localhost"), ssl: { ca } } })).toBe(true);
    expect(await encrypted({ connection: { connectionString: url, ssl: { rejectUnauthorized: false } } })).toBe(true);
    const parts = new URL(host("localhost"));
    parts.searchParams.set("sslmode", "verify-full");
    parts.searchParams.set("sslrootcert", join(folder, "server.crt"));
    expect(await encrypted({ connection: parts.href })).toBe(true);
  });

  test("the connections for notifications use it too", async () => {
    const connection = { connectionString: host("localhost"), ssl: { ca }, application_name: schemaName };
    const store = closing(await createPostgresStore({ connection, schemaName, notify: true }));
    const admin = await connect();
    await expect
      .poll(
        async () => {
          const { rows } = await admin.query<{ ssl: boolean }>(
            `select ssl from pg_stat_activity join pg_stat_ssl using (pid)
           where application_name = $1 and query ~ 'listen|pg_notify' and pid <> pg_backend_pid()`,
            [schemaName],
          );
          return rows;
        },
        { timeout: 10_000 },
      )
      .toEqual([{ ssl: true }, { ssl: true }]);
    expect(await codeOf(store.append(placed("1")))).toBe("resolved");
  });

  test.each([
    ["by an unknown authority", () => ({ connectionString: host("localhost"), ssl: true })],
    ["for another host", () => ({ connectionString: host("127.0.0.1"), ssl: { ca } })],
  ])("a certificate %s is refused", async (_name, config) => {
    const error = await refusal({ connection: config() });
    expect(error).toMatchObject({ code: "UNUSABLE" });
    expect(isTidemarkError(error) && error.message).toContain("certificate is not trusted");
    const { password } = new URL(url);
    expect(shown(error)).not.toContain(password);
  });

  test("a certificate by an unknown authority is refused with sslmode=verify-full", async () => {
    const parts = new URL(host("localhost"));
    parts.searchParams.set("sslmode", "verify-full");
    expect(await refusal({ connection: parts.href })).toMatchObject({ code: "UNUSABLE" });
  });
});
