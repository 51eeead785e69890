import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  createMysqlAdapter,
  createMysqlStore,
  mysqlGrants,
  mysqlMigrations,
  type MysqlTransaction,
} from "@tidemark/adapter-mysql";
import { checkLaw, laws, type Subject } from "@tidemark/conformance";
import { type AggregateRef, bucketOf, START, toPosition } from "@tidemark/core";
import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { type Connection, createConnection } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  borrow,
  cleanups,
  connect,
  database,
  FLAVOURS,
  open,
  openPool,
  placed,
  rowsOf,
  thrownBy,
  until,
  url,
  useDatabase,
} from "./fixture.ts";
import { follow, range } from "./follow.ts";
import { createSubject, openDatabase } from "./subject.mjs";

const refused = (argument: string): unknown =>
  expect.objectContaining({ code: "INVALID_ARGUMENT", details: { argument } });

test.each(["two words", "1st", "say`so", "naïve", "a.b", "a-b", "", "a".repeat(33)])(
  "%j is refused as a prefix, by store and migrations",
  (prefix) => {
    const connection = "mysql://nobody@127.0.0.1/app";
    expect(() => createMysqlAdapter({ connection, prefix })).toThrow(refused("prefix"));
    expect(() => mysqlMigrations({ database: "app", prefix })).toThrow(refused("prefix"));
    expect(() => mysqlGrants({ database: "app", prefix, user: "app" })).toThrow(refused("prefix"));
  },
);

test.each(["two words", "say`so", "naïve", "a.b", "", "a".repeat(65)])("%j is refused as a database's name", (name) => {
  expect(() => createMysqlAdapter({ connection: "mysql://nobody@127.0.0.1/", database: name })).toThrow(
    refused("database"),
  );
  expect(() => mysqlMigrations({ database: name })).toThrow(refused("database"));
  expect(() => mysqlGrants({ database: name, user: "app" })).toThrow(refused("database"));
});

test.each(["", "two words", "a'b", "a\\b", "a;b"])("%j is refused as a user's name and host", (name) => {
  expect(() => mysqlGrants({ database: "app", user: name })).toThrow(refused("user"));
  if (name !== "") expect(() => mysqlGrants({ database: "app", user: "app", host: name })).toThrow(refused("host"));
});

for (const flavour of FLAVOURS) {
  describeWithServer(flavour, (server) => {
    useDatabase(server);

    describe("a database whose name", () => {
      test.each(["begins-with-t", "Upper_Case", "select", "1st", "-", "0e1"])(
        "is like %s does what others do",
        async (like) => {
          const name = `${like}_${randomBytes(4).toString("hex")}`;
          const admin = await connect();
          await admin.query(`create database \`${name}\``);
          cleanups.push(async () => {
            const dropping = await createConnection(server.url);
            await dropping.query(`drop database \`${name}\``);
            await dropping.end();
          });
          const uri = Object.assign(new URL(server.url), { pathname: `/${name}` }).href;
          const store = await open({ uri }, { database: name });
          await store.append(placed("plain"));
          await store.transaction((_tx, inside) => inside.append(placed("lent")));
          const client = await connect();
          await client.beginTransaction();
          await store.within(client).append(placed("own"));
          await client.commit();
          expect(await follow(store).poll()).toEqual(["plain@1", "lent@1", "own@1"]);
          await store.consumers.declare("c", { kind: "projector" });
          expect(await store.frontierHolders()).toEqual([]);
          const again = await open({ uri }, { database: name, schema: "check" });
          expect(again.logId).toBe(store.logId);
          const user = await createUser();
          for (const grant of statementsOf(mysqlGrants({ database: name, user: user.name }))) await admin.query(grant);
          await open(
            { uri: Object.assign(new URL(user.url), { pathname: `/${name}` }).href },
            { database: name, schema: "check" },
          );
        },
      );
    });

    describe("a prefix", () => {
      test.each(["Order_", "select_", "_", `${"p".repeat(31)}_`])("like %s does what others do", async (prefix) => {
        const store = await open({}, { prefix });
        await store.append(placed("1"));
        await store.transaction((_tx, inside) => inside.append(placed("2")));
        expect(await follow(store).poll()).toEqual(["1@1", "2@1"]);
        await store.consumers.declare("c", { kind: "projector" });
        expect((await open({}, { prefix, schema: "check" })).logId).toBe(store.logId);
        const tables = await rowsOf(
          await connect(),
          `select table_name as name from information_schema.tables where table_schema = '${database}'`,
        );
        expect(tables).toHaveLength(22);
        expect(tables.every(({ name }) => String(name).toLowerCase().startsWith(prefix.toLowerCase()))).toBe(true);
      });
    });

    describe("the migrations as SQL", () => {
      test.each(["frontier", "counter"] as const)(
        "leave behind what the store makes itself, with ordering: %s",
        async (ordering) => {
          await open({}, { ordering });
          const admin = await connect();
          for (const { sql } of mysqlMigrations({ database, prefix: "reviewed_", ordering })) {
            for (const statement of statementsOf(sql)) await admin.query(statement);
          }
          expect(await catalogOf(admin, "reviewed_")).toEqual(await catalogOf(admin, "tidemark_"));
          const store = await open({}, { ordering, prefix: "reviewed_", schema: "check" });
          expect(await store.append(placed("a"))).toMatchObject({ first: 1 });
        },
      );

      test("are one script too", async () => {
        const admin = await connect(undefined, { multipleStatements: true });
        const scripts = mysqlMigrations({ database }).map(({ sql }) => sql);
        // Twice, as somebody does who is not sure.
        for (const script of [...scripts, ...scripts]) await admin.query(script);
        await (await open({}, { schema: "check" })).append(placed("a"));
      });

      test("need the right to make tables, and say so", async () => {
        const user = await createUser();
        await (await connect()).query(`grant select on ${database}.* to ${user.name}`);
        expect(await thrownBy(open({ uri: user.url }))).toMatchObject({ code: "UNUSABLE" });
      });
    });

    describe("a migration", () => {
      test("that was stopped after any of its statements is completed by the next", { timeout: 240_000 }, async () => {
        const statements = mysqlMigrations({ database }).flatMap(({ sql }) => statementsOf(sql));
        const admin = await connect();
        for (const done of [0, ...range(statements.length)]) {
          for (const statement of statements.slice(0, done)) await admin.query(statement);
          const isDone = done === statements.length;
          const checked = await thrownBy(open({}, { schema: "check" }));
          if (isDone) expect(checked).toBe("resolved");
          else expect(checked).toMatchObject({ code: "SCHEMA_MISMATCH" });
          const store = await open();
          expect(await store.append(placed("a"))).toMatchObject({ first: 1 });
          await store.close();
          await admin.query(`drop database ${database}`);
          await admin.query(`create database ${database} character set utf8mb4`);
        }
      });

      test("whose process or connection is killed is completed by the next", { timeout: 240_000 }, async () => {
        const admin = await connect();
        for (const n of range(10)) {
          const child = migrating(url);
          await until(async () => (await tables(admin)) >= (n - 1) * 2 || child.exitCode !== null);
          if (n % 2 === 0) child.kill("SIGKILL");
          else {
            const rows = await rowsOf(admin, "show processlist");
            for (const { Id, db } of rows) {
              if (db === database) await admin.query(`kill ${String(Id)}`).catch(() => undefined);
            }
          }
          if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
          const store = await open();
          expect(await store.append(placed("a"))).toMatchObject({ first: 1 });
          await store.close();
          await admin.query(`drop database ${database}`);
          await admin.query(`create database ${database} character set utf8mb4`);
        }
      });

      test("by ten processes at once makes one log", { timeout: 120_000 }, async () => {
        const children = range(10).map(() => migrating(url));
        const ended = await Promise.all(
          children.map(async (child) => {
            let printed = "";
            child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
            child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
            await once(child, "close");
            return printed.trim();
          }),
        );
        expect(new Set(ended).size).toBe(1);
        expect(ended[0]).toBe((await open({}, { schema: "check" })).logId);
      });

      test("of which the table is there and empty is one that was killed", async () => {
        const admin = await connect(url);
        await admin.query(statementsOf(mysqlMigrations({ database })[0]?.sql ?? "")[0] ?? "");
        expect(await thrownBy(open({}, { schema: "check" }))).toMatchObject({ code: "SCHEMA_MISMATCH" });
        await (await open()).append(placed("a"));
      });
    });

    describe("an application's user with the documented grants", () => {
      let user: User;
      beforeAll(async () => {
        user = await createUser(false);
      });
      afterAll(async () => {
        const admin = await createConnection(server.url);
        await admin.query(`drop user ${user.name}`);
        await admin.end();
      });

      /** The owner migrates; everything else is done by the user, in other processes as well. */
      const subject = (): Subject<MysqlTransaction> => {
        const owned = createSubject(`${flavour}, least privilege`, server.url, { reuses: false });
        return {
          ...owned,
          create: async () => {
            const made = await owned.create();
            const config = asConfig(made.process?.config);
            const { name } = config;
            const admin = await connect();
            for (const { sql } of mysqlMigrations({ database: name })) {
              for (const statement of statementsOf(sql)) await admin.query(statement);
            }
            for (const grant of statementsOf(mysqlGrants({ database: name, user: user.name })))
              await admin.query(grant);
            await admin.query(`grant select, insert, update, create on ${name}.effects to ${user.name}`);
            const lent = openDatabase({ ...config, url: user.url });
            return {
              ...lent,
              drop: async () => {
                await made.drop();
                await lent.drop().catch(() => undefined);
              },
            };
          },
        };
      };

      test.each(LAWS_OF_ALL_RECORDS)("holds %s", async (id) => {
        const law = laws.find((candidate) => candidate.id === id) ?? expect.fail(`There is no law ${id}.`);
        expect(await checkLaw(law, subject())).toMatchObject({ kind: "holds" });
      });

      test.each([
        "update tidemark_event set version = 1",
        "delete from tidemark_event",
        "truncate tidemark_event",
        "drop table tidemark_event",
        "alter table tidemark_event add column more text",
        "create index more on tidemark_event (recorded_at)",
        "create table more (text text)",
        "update tidemark_log set ordering = 'counter'",
        "insert into tidemark_log values (2, 'mine', 'frontier', 0)",
        "insert into tidemark_migration (version, name) values (99, 'mine')",
        "insert into tidemark_counter values (2, 0)",
        "create trigger mine before insert on tidemark_event for each row do 0",
      ])("cannot %s", async (statement) => {
        const store = await open();
        const admin = await connect();
        for (const grant of statementsOf(mysqlGrants({ database, user: user.name }))) await admin.query(grant);
        await store.append(placed("kept"));
        const client = await connect(Object.assign(new URL(user.url), { pathname: `/${database}` }).href);
        const error = await thrownBy(client.query(statement));
        expect([1142, 1143, 1227, 1044, 1419]).toContain(error instanceof Error ? Reflect.get(error, "errno") : error);
        expect((await store.readAll()).events).toHaveLength(1);
      });
    });

    describe("in a log of 100 000 events", () => {
      const big: AggregateRef = { context: "default", type: "order", id: "big" };

      test.each(["as it is", "with statistics"])("a call reads few rows, %s", { timeout: 180_000 }, async (how) => {
        const pool = openPool({ connectionLimit: 1 });
        const store = await borrow(pool);
        const admin = await connect(url);
        const adapter = createMysqlAdapter({ pool, database });
        await adapter.open("check", {});
        cleanups.push(() => adapter.close());
        await fill(admin, big);
        if (how === "with statistics") await admin.query("analyze table tidemark_event, tidemark_aggregate");
        const none = { segment: 0, segments: 1, contexts: [], aggregateTypes: [], eventTypes: [] };
        const page = { after: START, limit: 10, bytes: 1_000_000, scope: none };
        let n = 0;
        const fresh = (count: number) => range(count).map(() => ({ type: "placed", data: {}, id: `n-${n++}` }));
        const forward = { ref: big, from: 1, to: 9e9, limit: 10, bytes: 1e6, direction: "forward" } as const;
        const calls: Readonly<Record<string, () => Promise<unknown>>> = {
          head: () => store.head(),
          "the first page": () => adapter.readAll(page, {}),
          "a page in the middle": () => adapter.readAll({ ...page, after: toPosition(50_000) }, {}),
          "a page at the end": () => adapter.readAll({ ...page, after: toPosition(99_990) }, {}),
          "a page of some types": () => adapter.readAll({ ...page, scope: { ...none, eventTypes: ["placed"] } }, {}),
          "an aggregate from its begin": () => adapter.readAggregate(forward, {}),
          "an aggregate from its end": () => adapter.readAggregate({ ...forward, direction: "backward" }, {}),
          "what fits from its begin": () => adapter.readAggregate({ ...forward, bytes: 1 }, {}),
          "what fits from its end": () => adapter.readAggregate({ ...forward, bytes: 1, direction: "backward" }, {}),
          "the position before a time": () => adapter.positionBefore(50, {}),
          "an append": () => store.append({ aggregate: big, events: fresh(10) }),
          "an append to a new aggregate": () =>
            store.append({ aggregate: { type: "order", id: `n-${n}` }, events: fresh(1) }),
          "appends to many": () =>
            store.appendAll(range(20).map((k) => ({ ...placed(`o-${k * 7}`), events: fresh(1) }))),
          "a conflict": () => thrownBy(store.append({ aggregate: big, events: fresh(1), expected: 3 })),
          "an append in a transaction": () =>
            store.transaction((_tx, inside) => inside.append({ aggregate: big, events: fresh(10) })),
          "what is known already": () =>
            thrownBy(store.append({ aggregate: big, events: [{ id: "e-big-77", type: "placed", data: {} }] })),
          holders: () => store.frontierHolders(),
        };
        // A time that is found by looking is told by all events before it.
        const allowed = { "the position before a time": 60_000 };
        expect(await tooManyRows(admin, calls, allowed)).toEqual({});
      });

      test.each(["as they are", "with statistics"])(
        "records of consumers are found without reading others, %s",
        { timeout: 180_000 },
        async (how) => {
          const pool = openPool({ connectionLimit: 1 });
          const adapter = createMysqlAdapter({ pool, database });
          await adapter.open("migrate", {});
          cleanups.push(() => adapter.close());
          const admin = await connect(url);
          await fillRecords(admin);
          if (how === "with statistics") {
            const named = (await rowsOf(admin, "show tables")).flatMap((row) => Object.values(row));
            await admin.query(`analyze table ${named.map(String).join(", ")}`);
          }
          const consumer = { name: "c", version: 1 };
          const segment = { ...consumer, generation: 1, segment: 0 };
          const of = { after: START, limit: 10, requested: false, sequence: undefined };
          const inside = (work: (port: ReturnType<typeof adapter.within>) => Promise<unknown>) => () =>
            adapter.transaction((tx) => work(adapter.within(tx)), {});
          const associations = [{ property: "order", value: "o-7" }];
          const calls: Readonly<Record<string, () => Promise<unknown>>> = {
            "a saga": () => adapter.sagas.get("s", "7", {}),
            "sagas by an association": () => adapter.sagas.find("s", { property: "order", value: "o-7" }, {}),
            "a page of sagas": () => adapter.sagas.list("s", "7", 10, {}),
            "a saga's change": inside(({ sagas }) =>
              sagas.update("s", { id: "7", version: 1, associations, data: "{}" }, {}),
            ),
            "due deadlines": () => adapter.deadlines.due("s", 10, {}),
            "a page of letters": () => adapter.deadLetters.list(consumer, of, {}),
            "requested letters": () => adapter.deadLetters.list(consumer, { ...of, requested: true }, {}),
            "letters of a sequence": () => adapter.deadLetters.list(consumer, { ...of, sequence: "s-7" }, {}),
            "whether there are letters": inside(({ deadLetters }) => deadLetters.any(consumer, {})),
            "which sequences are parked": inside(({ deadLetters }) =>
              deadLetters.parked(consumer, ["s-7", "none"], toPosition(1_000_000), {}),
            ),
            "how many letters a sequence has": inside(({ deadLetters }) => deadLetters.count(consumer, "s-7", {})),
            "marking those that wait": inside(({ deadLetters }) => deadLetters.requestWaiting(consumer, ["s-7"], {})),
            "a letter's removal": inside(({ deadLetters }) => deadLetters.remove(consumer, toPosition(7), {})),
            "a claim": () => adapter.claims.claim(consumer, "k-7", { token: "t", ms: 1 }, {}),
            "a sweep of claims": () => adapter.claims.sweep(consumer, 1, {}),
            completions: inside(({ completions }) => completions.record(segment, [toPosition(30_001)], START, {})),
            "entering a zone": () => adapter.zones.enter(segment, { owner: "me", ms: 1 }, {}),
          };
          expect(await tooManyRows(admin, calls)).toEqual({});
        },
      );
    });

    interface User {
      readonly name: string;
      /** Connects as the user. */
      readonly url: string;
    }

    async function createUser(isOfTest = true): Promise<User> {
      const name = `tidemark_${randomBytes(6).toString("hex")}`;
      const admin = await createConnection(server.url);
      await admin.query(`create user ${name} identified by 'secret'`);
      await admin.end();
      if (isOfTest) {
        cleanups.push(async () => {
          const client = await createConnection(server.url);
          await client.query(`drop user ${name}`);
          await client.end();
        });
      }
      const own = new URL(url ?? server.url);
      own.username = name;
      own.password = "secret";
      return { name, url: own.href };
    }
  });

  describe(`a ${flavour} whose defaults are others`, async () => {
    const answer = await findServer(flavour, { ways: ["container", "binaries"] });
    if (answer.kind === "missing") return test.skip(`not tested: ${explain(answer)}`, () => undefined);
    const { server } = answer;
    afterAll(() => server.stop());

    const defaults: Readonly<Record<string, readonly string[]>> = {
      "no mode of SQL": ["sql_mode = ''"],
      "quotes of ANSI": ["sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,PAD_CHAR_TO_FULL_LENGTH'"],
      "no escapes by backslashes": ["sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES'"],
      ...(flavour === "mariadb"
        ? { "assignments at once": ["sql_mode = 'SIMULTANEOUS_ASSIGNMENT,STRICT_TRANS_TABLES'"] }
        : {}),
      "another time zone": ["time_zone = '+05:45'"],
      "another character set": ["character_set_server = latin1", "collation_server = latin1_swedish_ci"],
      SERIALIZABLE: [`${flavour === "mariadb" ? "tx_isolation" : "transaction_isolation"} = 'SERIALIZABLE'`],
      "no autocommit": ["autocommit = 0"],
      "changes by keys only": ["sql_safe_updates = 1"],
      "chains of transactions, and few rows": ["completion_type = 1", "sql_select_limit = 3"],
      "short lists": ["group_concat_max_len = 4"],
    };

    const subject = createSubject(`${flavour}, other defaults`, server.url, { reuses: false });
    afterAll(() => subject.end());

    describe.each(Object.entries(defaults))("%s", (_what, settings) => {
      beforeAll(() => set(settings));
      afterAll(() => set(settings.map((setting) => `${setting.split(" ")[0] ?? ""} = default`)));

      // In which callers have transactions of their own, whose sessions are as the server makes them.
      const refusesCallers = settings.some((setting) =>
        /^(sql_mode = '(NO_BACK[\w,]*)?'$|sql_select_limit)/.test(setting),
      );
      const held = LAWS_OF_DEFAULTS.filter((id) => !refusesCallers || !id.startsWith("order/"));

      test.each(held)("holds %s", { timeout: 60_000 }, async (id) => {
        const law = laws.find((candidate) => candidate.id === id) ?? expect.fail(`There is no law ${id}.`);
        expect(await checkLaw(law, subject)).toMatchObject({ kind: "holds" });
      });
    });

    test("works where nothing may be joined that is not small", async () => {
      const { url: own, drop } = await createDatabase(server.url);
      await set(["max_join_size = 1"]);
      try {
        const store = await createMysqlStore({ connection: own });
        await store.append(placed("1"));
        await store.consumers.declare("books", { kind: "projector", segments: 4 });
        expect((await store.readAll()).events).toHaveLength(1);
        await store.close();
      } finally {
        await set(["max_join_size = default"]);
        await drop();
      }
    });

    test.each(["session_track_schema = 0", "session_track_system_variables = ''"])(
      "is refused where it would not say what borrowers change: %s",
      async (setting) => {
        const { url: own, drop } = await createDatabase(server.url);
        await set([setting]);
        try {
          const refused = await thrownBy(createMysqlStore({ connection: own }));
          expect(refused).toMatchObject({ code: "UNUSABLE" });
          expect(String(refused)).toContain("session_track_");
        } finally {
          await set([`${setting.split(" ")[0] ?? ""} = default`]);
          await drop();
        }
      },
    );

    async function set(settings: readonly string[]): Promise<void> {
      const admin = await createConnection(server.url);
      for (const setting of settings) await admin.query(`set global ${setting}`);
      await admin.end();
    }
  });
}

/** Between them they use every table in every way. */
const LAWS_OF_ALL_RECORDS = [
  "append/idempotent/in-batch",
  "append/transaction/several-appends",
  "order/no-skip/savepoint-rollback",
  "order/no-skip/killed-process",
  "order/holders/open-append",
  "zones/expiry/takeover",
  "zones/fenced/deleted",
  "checkpoints/start/since",
  "checkpoints/never-backwards/reset",
  "checkpoints/errors/count",
  "checkpoints/enabled/survives",
  "checkpoints/list/complete",
  "checkpoints/delete/forgets",
  "claims/two-phase/expired",
  "claims/release",
  "claims/sweep",
  "sagas/change-association",
  "sagas/end",
  "sagas/deadlines/replaced",
  "sagas/deadlines/cancelled",
  "dead-letters/replay/retry/saga",
  "dead-letters/replay/remove/observer",
  "dead-letters/replay/remove-waiting/projector",
  "dead-letters/mark/all",
  "dead-letters/reset",
];

/** In which times, texts, locks and several statements at once matter. */
const LAWS_OF_DEFAULTS = [
  "append/idempotent/in-batch",
  "append/transaction/several-appends",
  "order/no-skip/savepoint-rollback",
  "order/holders/open-append",
  "zones/expiry/takeover",
  "checkpoints/start/since",
  "checkpoints/errors/count",
  "checkpoints/list/complete",
  "checkpoints/delete/forgets",
  "claims/two-phase/expired",
  "sagas/change-association",
  "dead-letters/replay/retry/saga",
];

type Config = Parameters<typeof openDatabase>[0];

function asConfig(config: unknown): Config {
  return config as Config;
}

/** As an administrator's program splits a script. */
function statementsOf(sql: string): readonly string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}

/** A process that opens a store and tells the log's id. */
function migrating(to: string) {
  const program = `
    import { createMysqlStore } from ${JSON.stringify(import.meta.resolve("@tidemark/adapter-mysql"))};
    const store = await createMysqlStore({ connection: process.argv[1] });
    console.log(store.logId);
    await store.close();`;
  return spawn(process.execPath, ["--input-type=module", "--eval", program, to], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function tables(admin: Connection): Promise<number> {
  const [row] = await rowsOf(
    admin,
    `select count(*) as count from information_schema.tables where table_schema = '${database}'`,
  );
  return Number(row?.["count"]);
}

/** What the server knows of a store's tables, without their prefix and the log's own values. */
async function catalogOf(admin: Connection, prefix: string): Promise<readonly string[]> {
  const names = (
    await rowsOf(
      admin,
      `select table_name as name from information_schema.tables
       where table_schema = '${database}' and table_name like '${prefix.replaceAll("_", "\\_")}%' order by table_name`,
    )
  ).map(({ name }) => String(name));
  const facts: string[] = [];
  for (const name of names) {
    const [row] = await rowsOf(admin, `show create table ${database}.${name}`);
    facts.push(String(row?.["Create Table"]).replaceAll(prefix, "PREFIX_"));
  }
  const rows = [
    ...(await rowsOf(admin, `select version, name from ${database}.${prefix}migration order by version`)),
    ...(await rowsOf(admin, `select only_row, ordering, base_token from ${database}.${prefix}log`)),
    ...(await rowsOf(admin, `select * from ${database}.${prefix}counter`)),
  ];
  return [...facts, ...rows.map((row) => JSON.stringify(row))];
}

/** Asking for them reads some hundreds of another kind. */
const MAX_ROWS = 3_000;

/** Calls that read more rows than an index needs: how many. By what the server has counted of all sessions of the store. */
async function tooManyRows(
  admin: Connection,
  calls: Readonly<Record<string, () => Promise<unknown>>>,
  allowed: Readonly<Record<string, number>> = {},
): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {};
  // What looks at everything is noticed, also where there are few events.
  const scanned = await rowsRead(admin, async () => {
    for (const table of ["event", "dead_letter"]) {
      await admin.query(`select count(*) from tidemark_${table} where bucket + 1 > 0`);
    }
  });
  expect(scanned).toBeGreaterThan(25_000);
  for (const [name, call] of Object.entries(calls)) {
    // The first time a session asks how it is set as well.
    await call();
    for (let time = 0; time < 10; time++) {
      const read = await rowsRead(admin, call);
      if (read <= (allowed[name] ?? MAX_ROWS)) {
        delete found[name];
        break;
      }
      // Other tests use the server as well, and for a while: the fewest count.
      found[name] = Math.min(found[name] ?? read, read);
      await pause(20 * 2 ** time);
    }
  }
  return found;
}

async function rowsRead(admin: Connection, call: () => Promise<unknown>): Promise<number> {
  const before = await handlerReads(admin);
  await call();
  return (await handlerReads(admin)) - before;
}

async function handlerReads(admin: Connection): Promise<number> {
  const rows = await rowsOf(
    admin,
    `show global status where variable_name in ('Handler_read_key', 'Handler_read_next', 'Handler_read_prev',
       'Handler_read_first', 'Handler_read_last', 'Handler_read_rnd', 'Handler_read_rnd_next')`,
  );
  return rows.reduce((sum, { Value }) => sum + Number(Value), 0);
}

/** 20 000 events of one aggregate, among 80 000 of 8 000 others. */
async function fill(admin: Connection, big: AggregateRef): Promise<void> {
  await admin.query("set session cte_max_recursion_depth = 200000").catch(() => undefined);
  await admin.query("set session max_recursive_iterations = 200000").catch(() => undefined);
  await admin.query(
    `insert into tidemark_event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data,
       metadata, occurred_on, recorded_at)
     with recursive numbers as (select 1 as n union all select n + 1 from numbers where n < 100000)
     select 'default', 'order', if(n % 5 = 0, 'big', concat('o-', n % 8000)),
       if(n % 5 = 0, n div 5, n div 8000 + 1), ${bucketOf(big)},
       if(n % 5 = 0, concat('e-big-', n div 5), concat('e-', n)), 'placed', '{"some": "data"}', '{}', n div 1000, 0
     from numbers order by n`,
  );
  await admin.query(
    `insert into tidemark_aggregate select context, aggregate_type, aggregate_id, max(version)
     from tidemark_event group by 1, 2, 3 on duplicate key update version = values(version)`,
  );
}

/** 30 000 of everything that a consumer and its sagas have, of which little is wanted at once. */
async function fillRecords(admin: Connection): Promise<void> {
  await admin.query("set session cte_max_recursion_depth = 200000").catch(() => undefined);
  await admin.query("set session max_recursive_iterations = 200000").catch(() => undefined);
  const numbers = "with recursive numbers as (select 1 as n union all select n + 1 from numbers where n < 30000)";
  for (const [columns, select] of [
    [
      "consumer_segment (name, version, generation, segment, position, token)",
      "'c', 1, n div 1024 + 1, n % 1024, 0, 0 from numbers",
    ],
    ["consumer_segment (name, version, generation, segment, position, token)", "'c', 1, 1, 0, 0, 0"],
    ["saga (saga, id, version, data)", "'s', n, 1, '{}' from numbers"],
    [
      "saga_association (saga, digest, id, property, value)",
      "'s', unhex(sha2(n, 256)), n, 'order', concat('o-', n) from numbers",
    ],
    ["saga_deadline (saga, saga_id, name, due_at, data)", "'s', n, 'late', n, '{}' from numbers"],
    [
      "dead_letter (name, version, position, bucket, event, attempts, first_at, last_at)",
      "'c', 1, n, 0, '{}', if(n % 2 = 0, 1, 0), 0, 0 from numbers",
    ],
    ["dead_letter_sequence (name, version, sequence, position)", "'c', 1, concat('s-', n % 10000), n from numbers"],
    [
      "claim (name, version, claim_key, token, expires_at, completed_at)",
      "'c', 1, concat('k-', n), 't', 0, n from numbers",
    ],
    ["completion (name, version, generation, segment, position)", "'c', 1, 1, n % 1000, n from numbers"],
  ] as const) {
    const from = select.includes("numbers") ? numbers : "";
    await admin.query(`insert ignore into tidemark_${columns} ${from} select ${select}`);
  }
}
