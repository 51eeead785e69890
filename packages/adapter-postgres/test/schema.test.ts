import { randomBytes } from "node:crypto";
import {
  createPostgresAdapter,
  postgresGrants,
  postgresMigrations,
  type PostgresTransaction,
} from "@tidemark/adapter-postgres";
import { checkLaw, laws, type Subject } from "@tidemark/conformance";
import { type AggregateRef, bucketOf, START, toPosition } from "@tidemark/core";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import pg, { Client, escapeLiteral, type Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  borrow,
  cleanups,
  connect,
  open,
  openPool,
  placed,
  schemaName,
  thrownBy,
  url,
  useDatabase,
} from "./fixture.ts";
import { createSubject, openDatabase } from "./subject.mjs";

test.each(["", "Tidemark", "1st", "two words", 'say"so', "pg_tidemark", "naïve", "a.b", "a".repeat(49)])(
  "%j is refused as a schema's name, by store and migrations",
  (name) => {
    const refused: unknown = expect.objectContaining({ code: "INVALID_ARGUMENT", details: { argument: "schemaName" } });
    expect(() => createPostgresAdapter({ connection: "postgres://nobody", schemaName: name })).toThrow(refused);
    expect(() => postgresMigrations({ schemaName: name })).toThrow(refused);
    expect(() => postgresGrants({ schemaName: name, role: "app" })).toThrow(refused);
  },
);

test.each(["", "public role", 'a"b', "pg_monitor", "a;b"])("%j is refused as a role's name", (role) => {
  const refused: unknown = expect.objectContaining({ code: "INVALID_ARGUMENT", details: { argument: "role" } });
  expect(() => postgresGrants({ role })).toThrow(refused);
});

describeWithServer("postgres", (server) => {
  useDatabase(server);

  describe("a schema whose name is", () => {
    test.each(["order", "user", "select", "a".repeat(48), "_1"])("%s does what others do", async (name) => {
      const [store, client] = [await open({}, { schemaName: name }), await connect()];
      await store.append(placed("plain"));
      await store.transaction((_tx, store) => store.append(placed("lent")));
      await client.query("begin");
      await store.within(client).append(placed("own"));
      await client.query("commit");
      const { events } = await store.readAll();
      expect(events.map(({ aggregate }) => aggregate.id)).toEqual(["plain", "lent", "own"]);
      await store.consumers.declare("c", { kind: "projector" });
      expect(await store.frontierHolders()).toEqual([]);
      const again = await open({}, { schemaName: name, schema: "check" });
      expect(again.logId).toBe(store.logId);
    });
  });

  describe("the migrations as SQL", () => {
    test.each(["frontier", "counter"] as const)(
      "leave behind what the store makes itself, with ordering: %s",
      async (ordering) => {
        const owner = await createRole();
        await (await connect()).query(`grant create on database ${new URL(url).pathname.slice(1)} to ${owner.name}`);
        const reviewed = `${schemaName}_r`;
        const client = await connect(owner.url);
        // As psql does with a file: statement by statement, or all of them in one transaction.
        const statements = postgresMigrations({ schemaName: reviewed, ordering }).map(({ sql }) => sql);
        await client.query(`begin; ${statements.join("\n")} commit`);
        await open({}, { ordering });
        const admin = await connect();
        expect(await catalogOf(admin, reviewed)).toEqual(await catalogOf(admin, schemaName));
        const store = await open({ connectionString: owner.url }, { schemaName: reviewed, schema: "check", ordering });
        expect(await store.append(placed("a"))).toMatchObject({ first: 1 });
      },
    );

    test("find the schema there already that somebody with more rights has made", async () => {
      const owner = await createRole();
      const admin = await connect();
      await admin.query(`create schema ${schemaName} authorization ${owner.name}`);
      const store = await open({ connectionString: owner.url });
      expect(await store.append(placed("a"))).toMatchObject({ first: 1 });
    });

    test("need the right to make a schema, and say so", async () => {
      const role = await createRole();
      expect(await thrownBy(open({ connectionString: role.url }))).toMatchObject({ code: "UNUSABLE" });
    });
  });

  test("a table of migrations that is empty is not taken for a new schema", async () => {
    const client = await connect();
    await client.query(`create schema ${schemaName}; create table ${schemaName}.migration (version integer)`);
    expect(await thrownBy(open())).toMatchObject({ code: "SCHEMA_MISMATCH", details: { stored: 0 } });
  });

  describe("an application's role with the documented grants", () => {
    let role: Role;
    let roleOfTest: string;
    beforeAll(async () => {
      role = await createRole(false);
      roleOfTest = role.name;
    });
    afterAll(async () => {
      const admin = new Client({ connectionString: server.url });
      await admin.connect();
      await admin.query(`drop role if exists ${roleOfTest}`).catch(() => undefined);
      await admin.end();
    });

    /** The owner migrates; everything else is done by the role, in other processes as well. */
    const subject = (): Subject<PostgresTransaction> => {
      const owned = createSubject("postgres, least privilege", url, { reuses: false });
      return {
        ...owned,
        create: async () => {
          const database = await owned.create();
          const config = asConfig(database.process?.config);
          const { schemaName } = config;
          await migrateFor(role, schemaName);
          const admin = await connect();
          await admin.query(
            `grant usage, create on schema ${schemaName}_app to ${role.name};
             grant all on all tables in schema ${schemaName}_app to ${role.name}`,
          );
          const lent = openDatabase({ ...config, url: role.url, direct: role.url });
          return {
            ...lent,
            drop: async () => {
              await database.drop();
              await lent.drop();
            },
          };
        },
      };
    };

    test.each(LAWS_OF_ALL_RECORDS)("holds %s", async (id) => {
      const law = laws.find((candidate) => candidate.id === id) ?? expect.fail(`There is no law ${id}.`);
      expect(await checkLaw(law, subject())).toMatchObject({ kind: "holds" });
    });

    test("has no more rights on any table than stores use", async () => {
      await migrateFor(role, schemaName);
      const admin = await connect();
      const { rows } = await admin.query<{ readonly name: string; readonly rights: string }>(
        `select relname as name, string_agg(right_to, ', ' order by n) as rights
         from pg_class cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
           with ordinality rights (right_to, n)
         where relnamespace = $1::regnamespace and relkind in ('r', 'v') and has_table_privilege($2, oid, right_to)
         group by relname`,
        [schemaName, role.name],
      );
      const { rows: all } = await admin.query<{ readonly relname: string }>(
        "select relname from pg_class where relnamespace = $1::regnamespace and relkind in ('r', 'v')",
        [schemaName],
      );
      const fewer = new Map([
        ["event", "SELECT, INSERT"],
        ["snapshot", "SELECT, INSERT"],
        ["identity", "SELECT, INSERT"],
        ["actor", "SELECT, INSERT, UPDATE"],
        ["identity_key", "SELECT, INSERT, UPDATE"],
        ["pack", "SELECT, INSERT, UPDATE"],
        ["counter", "SELECT, UPDATE"],
        ["migration", "SELECT"],
        ["log", "SELECT"],
        ["frontier_holder", "SELECT"],
      ]);
      const expected = all.map(({ relname }) => [relname, fewer.get(relname) ?? "SELECT, INSERT, UPDATE, DELETE"]);
      expect(Object.fromEntries(rows.map(({ name, rights }) => [name, rights]))).toEqual(Object.fromEntries(expected));
    });

    test("opens and writes with every ordering, also where functions are not everybody's to call", async () => {
      const admin = await connect();
      await admin.query("alter default privileges revoke execute on functions from public");
      try {
        for (const ordering of ["frontier", "counter"] as const) {
          const name = `${schemaName}_${ordering}`;
          await migrateFor(role, name, { ordering });
          const settings = { schemaName: name, ordering, schema: "check" } as const;
          const store = await open({ connectionString: role.url }, settings);
          await store.append(placed("a"));
          await store.transaction((_tx, store) => store.append(placed("a")));
          const client = await connect(role.url);
          await client.query("begin isolation level serializable");
          await store.within(client).append(placed("b"));
          await client.query("commit");
          await client.query(
            `insert into ${name}.event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type,
               data, metadata, occurred_on) values ('default', 'order', 'raw', 1, 0, 'raw', 'placed', '{}', '{}', 0)`,
          );
          expect((await store.readAll()).events).toHaveLength(4);
        }
      } finally {
        await admin.query("alter default privileges grant execute on functions to public");
      }
    });

    test.each([
      "update event set data = '{}'",
      "delete from event",
      "update snapshot set state = '{}'",
      "delete from snapshot",
      "update identity set since = 0",
      "delete from identity",
      "truncate event",
      "drop table event",
      "alter table event add column more text",
      "alter table event disable trigger register",
      "create trigger mine before insert on event for each statement execute function register()",
      "create index on event (recorded_at)",
      "create table more (text text)",
      "drop function page",
      "update log set tag = 1",
      "insert into migration (version, name) values (99, 'mine')",
      "select allot_tag()",
      "select setval('event_position', 1)",
      "alter sequence event_position cache 20",
      "drop view frontier_holder",
      "set session_replication_role = replica",
    ])("cannot %s", async (statement) => {
      const store = await migrateFor(role, schemaName);
      await store.append(placed("kept"));
      const client = await connect(role.url);
      await client.query(`set search_path = ${schemaName}`);
      const refused = await thrownBy(client.query(statement));
      expect(refused).toMatchObject({ code: "42501" });
      expect((await store.readAll()).events).toHaveLength(1);
    });
  });

  describe("in a log of 100 000 events, prepared while it was empty", () => {
    const big: AggregateRef = { context: "default", type: "order", id: "big" };

    test.each(["as it is then", "with statistics"])(
      "a call touches few blocks, %s",
      { timeout: 120_000 },
      async (how) => {
        const pool = openPool({ max: 1 });
        const recorded = record(pool);
        const store = await borrow(pool);
        const adapter = createPostgresAdapter({ pool, schemaName });
        await adapter.open("check", {});
        const none = { segment: 0, segments: 1, contexts: [], aggregateTypes: [], eventTypes: [] };
        const page = { after: START, limit: 10, bytes: 1_000_000, scope: none };
        const byId = { ref: big, after: "", until: undefined, from: undefined, to: undefined, limit: 10, bytes: 1e6 };
        const versions = { ref: big, from: 1, to: 9e9, limit: 10, bytes: 1e6 };
        let known = "e-before";
        let n = 0;
        const fresh = (id: string, count: number) =>
          Array.from({ length: count }, () => ({ ...placed(id).events[0], type: "placed", data: {}, id: `n-${n++}` }));
        const calls: Readonly<Record<string, () => Promise<unknown>>> = {
          head: () => store.head(),
          "the first page": () => adapter.readAll(page, {}),
          "a page in the middle": () => adapter.readAll({ ...page, after: START + 50_000n } as typeof page, {}),
          "a page at the end": () => adapter.readAll({ ...page, after: START + 99_990n } as typeof page, {}),
          "a page of some types": () => adapter.readAll({ ...page, scope: { ...none, eventTypes: ["placed"] } }, {}),
          "an aggregate from its begin": () => adapter.readAggregate({ ...versions, direction: "forward" }, {}),
          "an aggregate from its end": () => adapter.readAggregate({ ...versions, direction: "backward" }, {}),
          "events by id": () => adapter.readEventsById(byId, {}),
          "events by id up to one": () => adapter.readEventsById({ ...byId, after: "e-big-9", until: "e-big-90" }, {}),
          "events by id of a time": () => adapter.readEventsById({ ...byId, after: "e-big-9", from: 20, to: 99 }, {}),
          "the position before a time": () => adapter.positionBefore(50, {}),
          "an append": () => store.append({ aggregate: big, events: fresh("big", 10) }),
          "an append to a new aggregate": () =>
            store.append({ aggregate: { type: "order", id: `n-${n}` }, events: fresh("", 1) }),
          "a conflict": () => thrownBy(store.append({ aggregate: big, events: fresh("big", 1), expected: 3 })),
          "an append in a transaction": () =>
            store.transaction((_tx, store) => store.append({ aggregate: big, events: fresh("big", 10) })),
          "what is known already": () =>
            thrownBy(store.append({ aggregate: big, events: [{ id: known, type: "placed", data: {} }] })),
        };
        // Plans that are kept are made by now, after five calls.
        for (const call of Object.values(calls)) for (let times = 0; times < 7; times++) await call();
        const client = await connect();
        await fill(client, big);
        if (how === "with statistics") await client.query("analyze");
        known = "e-big-77";
        expect(await tooManyBlocks(pool, recorded, calls)).toEqual({});
        await adapter.close();
      },
    );

    // Without statistics the plans for letters read all of them; autovacuum gathers some within a minute.
    test("records of consumers are found without reading others, with statistics", { timeout: 120_000 }, async () => {
      const pool = openPool({ max: 1 });
      const recorded = record(pool);
      const adapter = createPostgresAdapter({ pool, schemaName });
      await adapter.open("migrate", {});
      const consumer = { name: "c", version: 1 };
      const segment = { ...consumer, generation: 1, segment: 0 };
      const of = { after: START, limit: 10, requested: false, sequence: undefined };
      const inside = (work: (port: ReturnType<typeof adapter.within>) => Promise<unknown>) => () =>
        adapter.transaction((tx) => work(adapter.within(tx)), {});
      const at = (position: number) => toPosition(position);
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
          deadLetters.parked(consumer, ["s-7", "none"], at(1_000_000), {}),
        ),
        "how many letters a sequence has": inside(({ deadLetters }) => deadLetters.count(consumer, "s-7", {})),
        "marking those that wait": inside(({ deadLetters }) => deadLetters.requestWaiting(consumer, ["s-7"], {})),
        "a letter's removal": inside(({ deadLetters }) => deadLetters.remove(consumer, at(7), {})),
        "a claim": () => adapter.claims.claim(consumer, "k-7", { token: "t", ms: 1 }, {}),
        "a sweep of claims": () => adapter.claims.sweep(consumer, 1, {}),
        completions: inside(({ completions }) => completions.record(segment, [at(30_001)], START, {})),
        "entering a zone": () => adapter.zones.enter(segment, { owner: "me", ms: 1 }, {}),
      };
      for (const call of Object.values(calls)) for (let times = 0; times < 7; times++) await call();
      const client = await connect();
      await fillRecords(client);
      await client.query("analyze");
      expect(await tooManyBlocks(pool, recorded, calls)).toEqual({});
      await adapter.close();
    });
  });

  describe("of an actor with 100 000 snapshots and mappings, prepared while there were none", () => {
    test.each(["as it is then", "with statistics"])(
      "little is read to find what is wanted, %s",
      { timeout: 120_000 },
      async (how) => {
        const pool = openPool({ max: 1 });
        const recorded = record(pool);
        const adapter = createPostgresAdapter({ pool, schemaName });
        await adapter.open("migrate", {});
        const { snapshots, identities, packs } = adapter;
        const actor = { type: "order", systemId: "big" };
        const row = {
          ...{ vector: "z:1", snapshotId: "z", version: 1, ancestor: undefined, state: "{}" },
          ...{ lastEventId: undefined, lastEventAt: undefined },
        };
        const change = { row, isHead: true, dominated: [] };
        // What is measured is run again, and finds nothing written.
        const takenBack = (work: (port: ReturnType<typeof adapter.within>) => Promise<unknown>) => () =>
          thrownBy(
            adapter.transaction(async (tx) => {
              await work(adapter.within(tx));
              throw new Error("taken back");
            }, {}),
          );
        const calls: Readonly<Record<string, () => Promise<unknown>>> = {
          "the heads": () => snapshots.heads(actor, {}),
          "a snapshot": () => snapshots.get(actor, "a:50000", {}),
          "a snapshot that is not there": () => snapshots.get(actor, "b:1", {}),
          "a chain of ten": () => snapshots.chain(actor, "a:50000", 10, {}),
          "the first links": () => snapshots.links(actor, undefined, 10, {}),
          "links in the middle": () => snapshots.links(actor, "a:50000", 10, {}),
          "the snapshot at an event": () => snapshots.atEvent(actor, "e-050000", {}),
          "the snapshot before all events": () => snapshots.atEvent(actor, "a", {}),
          "the snapshot at a time": () => snapshots.atTime(actor, 50_000, {}),
          "storing a snapshot": takenBack(({ snapshots }) => snapshots.store(actor, "z:1", () => change, {})),
          "a system id": () => identities.systemId("order", "big", undefined, {}),
          "a system id at a time": () => identities.systemId("order", "big", 50_000, {}),
          "an actor id": () => identities.actorId("order", "big", undefined, {}),
          "an actor id at a time": () => identities.actorId("order", "big", 50_000, {}),
          "an actor id's resolution": takenBack(({ identities }) => identities.resolve("order", "big", "more", {})),
          "a mapping": takenBack(({ identities }) => identities.map("order", "big", "more", {})),
          "a pack": () => packs.get(actor, "a:50000", {}),
          "storing a pack": () => packs.store(actor, "a:50000", "[]", {}),
        };
        for (const call of Object.values(calls)) for (let times = 0; times < 7; times++) await call();
        const client = await connect();
        await fillActors(client);
        if (how === "with statistics") await client.query("analyze");
        expect(await snapshots.heads(actor, {})).toMatchObject([{ vector: "a:100000" }]);
        expect(await snapshots.chain(actor, "a:50000", 10, {})).toHaveLength(10);
        expect(await snapshots.atTime(actor, 50_000, {})).toMatchObject({ vector: "a:50000" });
        expect(await identities.systemId("order", "big", 50_000, {})).toBe("s-50000");
        expect(await tooManyBlocks(pool, recorded, calls)).toEqual({});
        await adapter.close();
      },
    );
  });

  interface Role {
    readonly name: string;
    /** Connects as the role. */
    readonly url: string;
  }

  async function createRole(isOfTest = true): Promise<Role> {
    const name = `tidemark_${randomBytes(6).toString("hex")}`;
    const admin = new Client({ connectionString: url });
    await admin.connect();
    await admin.query(`create role ${name} login password 'secret'`);
    await admin.end();
    if (isOfTest) {
      cleanups.push(async () => {
        const client = new Client({ connectionString: url });
        await client.connect();
        await client.query(`drop owned by ${name} cascade; drop role ${name}`);
        await client.end();
      });
    }
    const own = new URL(url);
    own.username = name;
    own.password = "secret";
    return { name, url: own.href };
  }

  /** As the owner does: migrates, and grants. */
  async function migrateFor(role: Role, name: string, settings: Parameters<typeof open>[1] = {}) {
    const store = await open({}, { ...settings, schemaName: name });
    await (await connect()).query(postgresGrants({ schemaName: name, role: role.name }));
    return store;
  }
});

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
  "actors/siblings/healed",
  "actors/ancestor/nearest",
  "actors/links",
  "actors/by-event-id",
  "actors/by-event-date",
  "actors/transaction/commits",
  "identities/remap/as-of-between",
  "identities/concurrent-create",
  "event-stores/stream/combined",
  "event-stores/store/duplicate-id",
  "event-stores/packs/upsert",
];

type Config = Parameters<typeof openDatabase>[0];

function asConfig(config: unknown): Config {
  return config as Config;
}

/** Everything that the catalogue knows of a schema, without its name and its log's own values. */
async function catalogOf(client: Client, schema: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ readonly fact: string }>(
    `select 'class ' || relkind::text || ' ' || relname || ' ' || coalesce(reloptions::text, '') as fact
       from pg_class where relnamespace = $1::text::regnamespace
     union all
     select 'column ' || relname || '.' || attnum::text || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' '
         || attnotnull::text || ' ' || attcollation::text || ' ' || attgenerated::text || ' ' || coalesce(pg_get_expr(adbin, adrelid), '')
       from pg_attribute join pg_class on pg_class.oid = attrelid
       left join pg_attrdef on adrelid = attrelid and adnum = attnum
       where relnamespace = $1::text::regnamespace and attnum > 0
     union all
     select 'constraint ' || conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid)
       from pg_constraint where connamespace = $1::text::regnamespace
     union all
     select 'index ' || indexdef from pg_indexes where schemaname = $1::text
     union all
     select 'view ' || viewname || definition from pg_views where schemaname = $1::text
     union all
     select pg_get_functiondef(oid) from pg_proc where pronamespace = $1::text::regnamespace
     union all
     select 'trigger ' || pg_get_triggerdef(t.oid) || tgenabled::text from pg_trigger t
       join pg_class on pg_class.oid = tgrelid where relnamespace = $1::text::regnamespace
     union all
     select 'sequence ' || relname || ' ' || (to_jsonb(s) - 'seqrelid')::text from pg_sequence s
       join pg_class on pg_class.oid = seqrelid where relnamespace = $1::text::regnamespace
     union all
     select 'migration ' || (to_jsonb(m) - 'applied_at')::text from ${schema}.migration m
     union all
     select 'log ' || ordering from ${schema}.log
     order by fact`,
    [schema],
  );
  return rows.map(({ fact }) => fact.replaceAll(schema, "SCHEMA").replaceAll(/tidemark_tag_\d+/g, "TAG"));
}

interface Recorded {
  readonly name: string;
  readonly values: readonly unknown[];
}

/** Named statements that run on the pool's connections. */
function record(pool: Pool): Recorded[] {
  const recorded: Recorded[] = [];
  pool.on("connect", (client) => {
    const query = client.query.bind(client);
    Object.assign(client, {
      query: (...args: readonly [unknown]) => {
        const [config] = args;
        if (typeof config === "object" && config !== null && "name" in config) recorded.push(config as Recorded);
        const result: unknown = Reflect.apply(query, client, args);
        return result;
      },
    });
  });
  return recorded;
}

const MAX_BLOCKS = 150;

/** Calls of which a statement touches more blocks than an index needs: how many. */
async function tooManyBlocks(
  pool: Pool,
  recorded: Recorded[],
  calls: Readonly<Record<string, () => Promise<unknown>>>,
): Promise<Readonly<Record<string, number>>> {
  const blocks: Record<string, number> = {};
  for (const [name, call] of Object.entries(calls)) {
    // The first time a session reads the catalogue as well.
    for (const time of ["first", "second"]) {
      recorded.length = 0;
      await call();
      const statements = recorded.splice(0);
      expect(statements).not.toHaveLength(0);
      for (const statement of statements) {
        const count = await blocksOf(pool, statement);
        if (time === "second" && count > MAX_BLOCKS) blocks[name] = count;
      }
    }
  }
  return blocks;
}

/** How many blocks a prepared statement touches, with everything inside the functions that it calls. */
async function blocksOf(pool: Pool, { name, values }: Recorded): Promise<number> {
  const literals = values.map((value) => {
    const prepared = asUtils(pg).prepareValue(value);
    return prepared === null ? "null" : escapeLiteral(prepared);
  });
  const given = literals.length === 0 ? "" : `(${literals.join(", ")})`;
  const client = await pool.connect();
  try {
    await client.query("begin");
    const { rows } = await client.query<{
      readonly "QUERY PLAN": readonly { readonly Plan: Record<string, number> }[];
    }>(`explain (analyze, buffers, format json) execute ${name}${given}`);
    const plan = rows[0]?.["QUERY PLAN"][0]?.Plan ?? {};
    return (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

/** The driver's own way from a value to the text that it sends; its types do not tell of it. */
function asUtils(driver: unknown): { prepareValue(value: unknown): string | null } {
  return (driver as { readonly utils: { prepareValue(value: unknown): string | null } }).utils;
}

/** 20 000 events of one aggregate, among 80 000 of 8 000 others. */
async function fill(client: Client, big: AggregateRef): Promise<void> {
  const { rows } = await client.query<{ readonly version: number }>(
    `select coalesce(max(version), 0) as version from ${schemaName}.event where aggregate_id = $1`,
    [big.id],
  );
  await client.query(
    `insert into ${schemaName}.event (context, aggregate_type, aggregate_id, version, bucket, event_id, event_type, data,
       metadata, occurred_on)
     select 'default', 'order', case when n % 5 = 0 then $1 else 'o-' || n % 8000 end,
       case when n % 5 = 0 then $2::integer + n / 5 else n / 8000 + 1 end, $3,
       case when n % 5 = 0 then 'e-big-' || n / 5 else 'e-' || n end, 'placed', '{"some": "data"}', '{}', n / 1000
     from generate_series(1, 100000) n order by n`,
    [big.id, rows[0]?.version ?? 0, bucketOf(big)],
  );
  await client.query(
    `insert into ${schemaName}.aggregate select context, aggregate_type, aggregate_id, max(version)
     from ${schemaName}.event group by 1, 2, 3
     on conflict (context, type, id) do update set version = excluded.version`,
  );
}

/** 30 000 of everything that a consumer and its sagas have, of which little is wanted at once. */
async function fillRecords(client: Client): Promise<void> {
  await client.query(`
    set search_path = ${schemaName};
    insert into consumer_segment (name, version, generation, segment, position)
      select 'c', 1, generation, segment, 0 from generate_series(1, 30) generation, generate_series(0, 1023) segment
      on conflict do nothing;
    insert into saga select 's', n::text, 1, '{}' from generate_series(1, 30000) n on conflict do nothing;
    insert into saga_association
      select 's', sha256(convert_to(n::text, 'utf8')), n::text, 'order', 'o-' || n from generate_series(1, 30000) n
      on conflict do nothing;
    insert into saga_deadline select 's', n::text, 'late', n, '{}' from generate_series(1, 30000) n on conflict do nothing;
    insert into dead_letter
      select 'c', 1, n, 0, '{}', null, case when n % 2 = 0 then 1 else 0 end, 0, 0, null from generate_series(1, 30000) n
      on conflict do nothing;
    insert into dead_letter_sequence select 'c', 1, 's-' || n % 10000, n from generate_series(1, 30000) n
      on conflict do nothing;
    insert into claim select 'c', 1, 'k-' || n, 't', 0, n from generate_series(1, 30000) n on conflict do nothing;
    insert into completion select 'c', 1, 1, n % 1000, n from generate_series(1, 30000) n on conflict do nothing`);
}

/** 100 000 snapshots of one actor, as many mappings of one id each way, and 30 000 actors and packs beside them. */
async function fillActors(client: Client): Promise<void> {
  await client.query(`
    set search_path = ${schemaName};
    insert into actor select 'order', 'a-' || n, 1, array['a:1'] from generate_series(1, 30000) n;
    insert into actor values ('order', 'big', 1, array['a:100000'])
      on conflict (type, system_id) do update set heads = excluded.heads;
    insert into snapshot
      select 'order', case when n > 100000 then 'a-' || n else 'big' end, vector_digest('a:' || n), 'a:' || n, n::text, n,
        'a:' || n - 1, 'e-' || lpad(n::text, 6, '0'), n, '{"some": "state"}'
      from generate_series(1, 130000) n;
    insert into identity select 'order', 'big', 's-' || n, n from generate_series(1, 100000) n;
    insert into identity select 'order', 'b-' || n, 'big', n from generate_series(1, 100000) n;
    insert into identity_key
      select 'order', kind, id, n, n
      from generate_series(1, 100000) n
      cross join lateral (values ('system', 's-' || n), ('actor', 'b-' || n)) keys (kind, id);
    insert into identity_key values ('order', 'actor', 'big', 100000, 100000), ('order', 'system', 'big', 100000, 100000)
      on conflict (type, kind, id) do update set changes = excluded.changes, last_at = excluded.last_at;
    insert into pack select 'order', 'big', vector_digest('a:' || n), 'a:' || n, '[]' from generate_series(1, 30000) n`);
}
