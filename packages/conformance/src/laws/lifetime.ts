import {
  defineProjector,
  isTidemarkError,
  START,
  type Store,
  type StoreOptions,
  type TidemarkError,
} from "@tidemark/core";
import { remember } from "../borrowing.ts";
import { everyCall } from "../calls.ts";
import { account, deposit, readLog } from "../events.ts";
import { assert, collect, fulfils, FULFILLED, gate, outcome, promptly, refuses } from "../expect.ts";
import type { Law, Site } from "../law.ts";
import {
  boasts,
  closesAll,
  disposesOfNothing,
  keepsZones,
  leavesCallsUnanswered,
  migratesUnasked,
  mintsNewLog,
  refusesSecondClose,
  remembersTheHead,
  startsOnAnySchema,
  takesLogsForOne,
} from "../lies/lifetime.ts";
import { closesWhatItWasLent } from "../lies/server.ts";
import type { FirstStart } from "../scripts/lifetime.ts";
import type { TestDatabase } from "../subject.ts";

const closeLaws: readonly Law[] = [
  {
    id: "lifetime/close/idempotent",
    promise: "A store can be closed twice, one close after the other or both at once.",
    tooth: refusesSecondClose,
    check: async ({ open }) => {
      const [first, second] = [await open(), await open()];
      await first.close();
      await fulfils(first.close(), "A closed store can be closed again");
      await fulfils(Promise.all([second.close(), second.close()]), "A store can be closed twice at once");
    },
  },
  {
    id: "lifetime/close/while-busy",
    promise:
      "Calls under way when a store is closed finish or fail with CLOSED, none hangs, and what succeeded is there.",
    tooth: leavesCallsUnanswered,
    check: async ({ open, store: other }) => {
      const store = await open();
      const [entered, released] = [gate(), gate()];
      const transaction = store.transaction(async (_tx, within) => {
        entered.open();
        await released.passed;
        return within.append(deposit("slow"));
      });
      await Promise.race([entered.passed, transaction]);
      const appends = Array.from({ length: 20 }, (_, n) => outcome(store.append(deposit(`quick ${n}`))));
      const reads = [
        outcome(store.readAll()),
        outcome(store.head()),
        outcome(collect(store.readAggregate(account("slow")))),
      ];
      const waiting = outcome(store.wait(START, { timeoutMs: 500_000 }));
      const closed = store.close();
      released.open();

      const settled = await promptly(
        "Every call under way ends",
        Promise.all([...appends, ...reads, waiting, outcome(transaction)]),
      );
      await promptly("The store is closed", closed);
      for (const end of settled) assert.ok(end === FULFILLED || isTidemarkError(end, "CLOSED"), String(end));
      const succeeded = settled.slice(0, appends.length).filter((end) => end === FULFILLED).length;
      assert.equal((await readLog(other)).events.length, succeeded + 1);
    },
  },
  {
    id: "lifetime/close/then-refuses",
    promise: "Every call on a closed store is refused with CLOSED.",
    tooth: remembersTheHead,
    check: async ({ open, consume, database }) => {
      const store = await open();
      await store.append(deposit("alice", 30));
      await store.consumers.declare("mine", { kind: "projector" });
      const begun = store.readAggregate(account("alice"))[Symbol.asyncIterator]();
      await begun.next();
      const transaction = await database.begin();
      const inside = store.within(transaction.tx);
      await store.close();

      const calls = [
        ...everyCall(store),
        () => consume(store, defineProjector({ name: "mine", handle: () => undefined })),
        async () => store.within(transaction.tx),
        async () => inside.append(deposit("alice")),
        () => restOf(begun),
      ];
      for (const call of calls) await promptly(`${String(call)} on a closed store`, refuses("CLOSED", call()));
      await transaction.rollback();
    },
  },
  {
    id: "lifetime/close/leaves-zones",
    promise: "A store that closes leaves its zones, so others can enter them at once.",
    tooth: keepsZones,
    check: async ({ store, open }) => {
      const first = await open();
      await first.consumers.declare("mine", { kind: "projector" });
      const zone = await first.enterZone("mine", { leaseMs: 600_000 });
      assert.ok(zone !== undefined);
      await first.close();
      assert.ok((await store.enterZone("mine")) !== undefined, "The zone of a closed store is still taken.");
      await refuses(
        "ZONE_LOST",
        zone.commit(() => zone.position),
      );
    },
  },
  {
    id: "lifetime/close/entering",
    promise: "A zone that is being entered while the store closes is left as well.",
    tooth: keepsZones,
    check: async ({ store, open }) => {
      await store.consumers.declare("mine", { kind: "projector" });
      for (let steps = 0; steps < 20; steps++) {
        const closing = await open();
        const entering = closing.enterZone("mine", { leaseMs: 600_000 }).catch(() => undefined);
        for (let step = 0; step < steps; step++) await Promise.resolve();
        await closing.close();
        await entering;
        const zone = await store.enterZone("mine");
        assert.ok(zone !== undefined, `The zone is still taken after closing ${steps} steps into entering.`);
        await zone.leave();
      }
    },
  },
  {
    id: "lifetime/close/others",
    promise: "Closing one store leaves the other stores of its database working.",
    tooth: closesAll,
    check: async ({ store, open }) => {
      await store.append(deposit("alice"));
      const other = await open();
      await other.append(deposit("alice"));
      await other.close();
      const { first } = await fulfils(store.append(deposit("alice")), "A store outlives the others of its database");
      assert.equal(first, 3);
      assert.equal((await readLog(store)).events.length, 3);
    },
  },
  {
    id: "lifetime/borrowed",
    promise: "What a store was lent works beside it, and still does when the store is closed.",
    tooth: closesWhatItWasLent,
    check: async ({ open, database, store: other }) => {
      const borrowed = remember(await database.borrow());
      const store = await open({}, () => borrowed.adapter);
      await store.append(deposit("alice"));
      await fulfils(borrowed.use(), "What was lent works beside the store");
      await store.close();
      await refuses("CLOSED", store.head());
      await fulfils(borrowed.use(), "What was lent still works");
      assert.equal((await readLog(other)).events.length, 1);
    },
  },
  {
    id: "lifetime/close/dispose",
    promise: "A store that is disposed of is closed.",
    tooth: disposesOfNothing,
    check: async ({ open }) => {
      const store = await open();
      await store[Symbol.asyncDispose]();
      await refuses("CLOSED", store.head());
    },
  },
];

const openLaws: readonly Law[] = [
  {
    id: "lifetime/capabilities",
    promise: "A store tells the capabilities of its adapter, which never change.",
    tooth: boasts,
    check: async ({ store, capabilities }) => {
      assert.deepEqual({ ...store.capabilities }, { ...capabilities });
      assert.ok(Object.isFrozen(store.capabilities));
    },
  },
  {
    id: "lifetime/reopen",
    promise: "When all stores of a database were closed, another one finds everything as it was left.",
    when: { durable: true },
    tooth: mintsNewLog,
    check: async (bench) => {
      const left = await leaveTraces(bench);
      await bench.store.close();
      assert.deepEqual(await traces(await bench.open(), bench.database), left);
    },
  },
  {
    id: "lifetime/reopen/not-durable",
    promise: "While a database in memory exists, each store that is opened on it finds everything as it was left.",
    when: { durable: false },
    tooth: mintsNewLog,
    check: async (bench) => {
      const left = await leaveTraces(bench);
      assert.deepEqual(await traces(await bench.open(), bench.database), left);
    },
  },
  {
    id: "lifetime/migrate/idempotent",
    promise: "Migrating a database that is up to date changes nothing.",
    tooth: mintsNewLog,
    check: async (bench) => {
      const left = await leaveTraces(bench);
      for (const schema of ["migrate", "migrate", "check"] as const) {
        assert.deepEqual(await traces(await bench.open({ schema }), bench.database), left);
      }
    },
  },
  {
    id: "lifetime/migrate/concurrent",
    promise: "Ten processes that start at once on a new database all start, on one and the same log.",
    when: { shared: true },
    tooth: mintsNewLog,
    check: async ({ another }) => {
      const site = await another();
      const children = await Promise.all(Array.from({ length: 10 }, () => site.spawn("lifetime/first-start")));
      await Promise.all(children.map((child) => child.hear("ready")));
      for (const child of children) child.say("go");
      const starting = Promise.all(children.map(async (child) => asFirstStart(await child.result())));
      assertOneLog(await fulfils(starting, "Processes may migrate at once"));
    },
  },
  {
    id: "lifetime/migrate/concurrent/one-process",
    promise: "Ten stores that one process opens at once on a new database all open, on one and the same log.",
    tooth: mintsNewLog,
    check: async ({ another }) => {
      const site = await another();
      const start = async (): Promise<FirstStart> => {
        const store = await site.open();
        return { logId: store.logId, version: (await store.append(deposit("alice"))).first };
      };
      const starting = Promise.all(Array.from({ length: 10 }, start));
      assertOneLog(await fulfils(starting, "Stores may be opened at once"));
    },
  },
  {
    id: "lifetime/schema/missing",
    promise: "A store that may only check refuses a database without a schema, and says which one it needs.",
    when: { durable: true },
    tooth: migratesUnasked,
    check: async ({ another }) => {
      const site = await another();
      await site.database.schema?.missing?.();
      const { details } = await refusesSchema(site, { schema: "check" });
      assert.equal(details.stored, 0);
      await fulfils(site.open({ schema: "migrate" }), "A refused database can be migrated");
      await fulfils(site.open({ schema: "check" }), "A migrated database fits");
    },
  },
  {
    id: "lifetime/schema/older",
    promise: "A store that may only check refuses an older schema, and says which one it needs and how to get it.",
    when: { durable: true },
    tooth: startsOnAnySchema,
    check: async (bench) => {
      await schemaOf(bench.database).older();
      const { details, message } = await refusesSchema(bench, { schema: "check" });
      assert.ok(details.stored < details.needed, message);
      assert.match(message, /migrat/i);
    },
  },
  {
    id: "lifetime/schema/newer",
    promise:
      "A schema that is newer than the adapter is refused, with or without leave to migrate, and the way out is told.",
    when: { durable: true },
    tooth: startsOnAnySchema,
    check: async (bench) => {
      await schemaOf(bench.database).newer();
      for (const schema of ["migrate", "check"] as const) {
        const { details, message } = await refusesSchema(bench, { schema });
        assert.ok(details.stored > details.needed, message);
        assert.match(message, /upgrade|update|newer/i);
      }
    },
  },
  {
    id: "lifetime/databases/apart",
    promise: "Two databases never meet: each has its own log, events, consumers and zones.",
    tooth: takesLogsForOne,
    check: async (bench) => {
      const store = await (await bench.another()).open();
      assert.notEqual(store.logId, bench.store.logId);
      const left = await leaveTraces(bench);
      assert.deepEqual((await readLog(store)).events, []);
      assert.deepEqual(await collect(store.consumers.list()), []);
      assert.equal((await store.append(deposit("alice"))).first, 1);
      await store.consumers.declare("reader", { kind: "projector" });
      assert.ok(await store.enterZone("reader"));
      assert.deepEqual(await traces(bench.store, bench.database), left);
    },
  },
];

/** From opening a store to closing it. */
export const lifetimeLaws: readonly Law[] = [...openLaws, ...closeLaws];

/** Something in every table: events, an effect, a checkpoint, an error, a disabled consumer. */
async function leaveTraces<Tx>({ store, database }: Site<Tx> & { readonly store: Store<Tx> }): Promise<unknown> {
  await store.appendAll([deposit("alice", 3), deposit("bob", 2)]);
  await store.consumers.declare("reader", { kind: "projector" });
  const head = await store.head();
  const zone = await store.enterZone("reader");
  await zone?.commit(async ({ tx }) => {
    await database.effects.write(tx, "effect", "left behind");
    return head;
  });
  await zone?.leave();
  await store.consumers.recordError("reader", new Error("left behind"));
  await store.consumers.disable("stranger");
  return traces(store, database);
}

async function traces<Tx>(store: Store<Tx>, database: TestDatabase<Tx>): Promise<unknown> {
  return {
    logId: store.logId,
    head: await store.head(),
    events: (await readLog(store)).events,
    alice: await collect(store.readAggregate(account("alice"))),
    consumers: await collect(store.consumers.list()),
    effect: await database.effects.read("effect"),
  };
}

function assertOneLog(starts: readonly FirstStart[]): void {
  assert.equal(new Set(starts.map((start) => start.logId)).size, 1, "The stores are on different logs.");
  const versions = starts.map((start) => start.version).toSorted((a, b) => a - b);
  assert.deepEqual(
    versions,
    Array.from({ length: starts.length }, (_, index) => index + 1),
  );
}

async function refusesSchema<Tx>(site: Site<Tx>, options: StoreOptions): Promise<TidemarkError<"SCHEMA_MISMATCH">> {
  return refuses("SCHEMA_MISMATCH", site.open(options));
}

function schemaOf<Tx>(database: TestDatabase<Tx>): { older(): Promise<void>; newer(): Promise<void> } {
  if (database.schema === undefined) throw new TypeError("A durable subject needs the hook `schema`.");
  return database.schema;
}

async function restOf<T>(iterator: AsyncIterator<T>): Promise<void> {
  while ((await iterator.next()).done !== true);
}

/** What a script returned crossed a process boundary; it is what the script wrote. */
function asFirstStart(returned: unknown): FirstStart {
  return returned as FirstStart;
}
