import { randomInt } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import {
  type AppendRequest,
  type ConsumeResult,
  defineProjector,
  type EventSource,
  type Position,
  type Projector,
  type RecordedEvent,
  START,
  type Store,
  type StoreInTransaction,
} from "@tidemark/core";
import { account, deposit } from "../events.ts";
import { assert, collect, eventually, fulfils, gate, type Gate, promptly, refuses, turn } from "../expect.ts";
import { type Bench, type Law, override } from "../law.ts";
import {
  appendsAtOnce,
  consumesOneAtATime,
  forgetsLogs,
  holders,
  holdsBackForEver,
  locksEachAppend,
  readsBehindWriters,
  readsOneTooFar,
  readsPastOpenAppends,
  refusesSecondWriter,
  showsLastAppendOnly,
  suspectsEveryTransaction,
  waitsForEveryTransaction,
  waitsForTheLost,
} from "../lies/order.ts";
import type { Child } from "../processes.ts";
import { stormAggregates, type StormReport, type StormWriter } from "../scripts/order.ts";
import type { RawTransaction, TestDatabase } from "../subject.ts";

const noSkipLaws: readonly Law[] = [
  {
    id: "order/no-skip/permutations",
    promise:
      "In whatever order up to four open transactions commit or roll back, a polling reader gets each committed event exactly once.",
    when: { concurrentWriters: true },
    tooth: readsPastOpenAppends,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      for (const writers of [1, 2, 3, 4]) {
        for (const ends of endings(range(writers))) {
          const open = new Map<number, OpenAppend<unknown>>();
          for (const writer of range(writers)) {
            open.set(writer, await beginAppend(store, database, deposit(`writer ${writer}`)));
            await reader.poll();
          }
          for (const { writer, how } of ends) {
            await open.get(writer)?.transaction[how]();
            await reader.poll();
          }
          const committed = new Set(ends.filter(({ how }) => how === "commit").map(({ writer }) => writer));
          const expected = [...open].flatMap(([writer, { ids }]) => (committed.has(writer) ? ids : []));
          assertSeen(reader, expected, ends.map(({ writer, how }) => `${how} ${writer}`).join(", "));
        }
      }
    },
  },
  {
    id: "order/no-skip/permutations/one-writer",
    promise:
      "Whichever of four transactions in a row commit or roll back, a polling reader gets each committed event exactly once.",
    when: { concurrentWriters: false },
    tooth: readsOneTooFar,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      await reader.poll();
      for (const commits of subsets(range(4))) {
        const expected: string[] = [];
        for (const writer of range(4)) {
          const { transaction, ids } = await beginAppend(store, database, deposit(`writer ${writer}`));
          // Not awaited: where all calls wait for an open transaction, this one may as well.
          const polled = reader.poll();
          if (commits.includes(writer)) {
            expected.push(...ids);
            await transaction.commit();
          } else await transaction.rollback();
          await polled;
        }
        await reader.poll();
        assertSeen(reader, expected, `commit ${commits.join(", ") || "none"} of four`);
      }
    },
  },
  {
    id: "order/no-skip/slow-writer",
    promise: "An event whose transaction stays open while later ones commit is still delivered, before them.",
    when: { concurrentWriters: true },
    tooth: readsPastOpenAppends,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const first = await store.append(deposit("first"));
      const slow = await beginAppend(store, database, deposit("slow"));
      const quick: string[] = [];
      for (const n of range(10)) {
        quick.push(...(await store.append(deposit(`quick ${n}`))).ids);
        await reader.poll();
        assert.equal(await store.head(), first.positions[0], "The head is not the last event below the open append.");
      }
      await slow.transaction.commit();
      await reader.poll();
      assertSeen(reader, [...first.ids, ...slow.ids, ...quick], "after the slow writer's commit");
    },
  },
  {
    id: "order/no-skip/slow-writer/one-writer",
    promise: "While a transaction with an append is open a second writer waits, then succeeds, after it.",
    when: { concurrentWriters: false },
    tooth: refusesSecondWriter,
    check: async ({ store, open, database }) => {
      const other = await open();
      const reader = createReader(store);
      const slow = await beginAppend(store, database, deposit("slow"));
      const settled: string[] = [];
      const waiting = [store, other].map((writer) =>
        fulfils(writer.append(deposit("quick")), "A second writer waits for the first").finally(() =>
          settled.push("quick"),
        ),
      );
      const all = Promise.all(waiting);
      all.catch(() => undefined);
      await turn();
      settled.push("slow");
      await slow.transaction.commit();
      const quick = await promptly("The second writer goes on after the first", all);
      assert.equal(settled[0], "slow");
      await reader.poll();
      const later = quick.toSorted((a, b) => a.first - b.first).flatMap((result) => result.ids);
      assertSeen(reader, [...slow.ids, ...later], "after both commits");
    },
  },
  {
    id: "order/no-skip/rollback-gap",
    promise: "A position that was rolled back costs readers neither a wait nor an event.",
    tooth: waitsForTheLost,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const expected: string[] = [];
      for (const round of range(3)) {
        const lost = await beginAppend(store, database, deposit("lost", round));
        await lost.transaction.rollback();
        const { ids, positions } = await store.append(deposit("kept"));
        expected.push(...ids);
        assert.equal(await store.head(), positions[0]);
      }
      await reader.poll();
      assertSeen(reader, expected, "after three rollbacks");
    },
  },
  {
    id: "order/no-skip/killed-writer",
    promise: "A connection that is killed inside its transaction holds nobody back.",
    tooth: waitsForTheLost,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const killed = await beginAppend(store, database, deposit("alice", 3));
      await killed.transaction.kill();
      const appending = promptly("An append after a killed one", store.append(deposit("alice")));
      const { ids, first } = await fulfils(appending, "A killed connection leaves no lock behind");
      assert.equal(first, 1);
      await eventually("Readers go on after a killed connection", () => reader.pollFor(ids));
      assertSeen(reader, ids, "after the kill");
    },
  },
  {
    id: "order/no-skip/killed-process",
    promise: "A process that is killed inside its transaction holds nobody back, and costs no event of others.",
    when: { shared: true },
    tooth: readsOneTooFar,
    check: async ({ store, spawn }) => {
      const reader = createReader(store);
      await reader.poll();
      const child = await spawn("order/append-and-hang");
      const committed = asIds(await child.hear("open"));
      await reader.poll();
      await child.kill();
      const appending = promptly("An append after a killed process", store.append(deposit("lost")));
      const { ids, first } = await fulfils(appending, "A killed process leaves no lock behind");
      assert.equal(first, 1);
      await eventually("Readers go on after a killed process", () => reader.pollFor(ids));
      assertSeen(reader, [...committed, ...ids], "after the kill");
    },
  },
  {
    id: "order/no-skip/several-appends-one-transaction",
    promise: "All appends of a transaction are delivered, in their order, once it has committed.",
    tooth: showsLastAppendOnly,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const transaction = await database.begin();
      const ids = await insideOf(store, transaction, async (within) => {
        const results = [];
        for (const id of ["alice", "bob", "alice", "carol"]) results.push(await within.append(deposit(id, 2)));
        return results.flatMap((result) => result.ids);
      });
      // Not awaited: where all calls wait for an open transaction, this one may as well.
      const polled = reader.poll();
      await transaction.commit();
      await polled;
      await reader.poll();
      assertSeen(reader, ids, "after the commit");
    },
  },
  {
    id: "order/no-skip/interleaved-appends",
    promise:
      "Of two transactions that append by turns all events are delivered, in the order in which they were appended.",
    when: { concurrentWriters: true },
    tooth: readsPastOpenAppends,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const transactions = [await database.begin(), await database.begin()];
      const ids: string[] = [];
      for (const round of range(6)) {
        const transaction = transactions[round % 2];
        assert.ok(transaction);
        const append = insideOf(store, transaction, (within) => within.append(deposit(`writer ${round % 2}`)));
        ids.push(...(await append).ids);
        await reader.poll();
      }
      for (const transaction of transactions.toReversed()) {
        await transaction.commit();
        await reader.poll();
      }
      assertSeen(reader, ids, "after both commits");
    },
  },
  {
    id: "order/no-skip/savepoint-rollback",
    promise:
      "What a transaction appended before and after a part that was undone is delivered exactly once, the part never.",
    tooth: showsLastAppendOnly,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const transaction = await database.begin();
      const ids = await insideOf(store, transaction, async (within) => {
        const before = await within.append(deposit("alice", 2));
        // Without savepoints the nearest thing: an append that the transaction survives and leaves nothing behind.
        const undo = await transaction.savepoint?.();
        if (undo === undefined) {
          await refuses(
            "VERSION_CONFLICT",
            within.appendAll([deposit("bob"), deposit("alice", 1, { expected: "none" })]),
          );
        } else {
          await within.appendAll([deposit("bob", 3), deposit("alice", 3)]);
          await undo();
        }
        const after = await within.append(deposit("alice", 2, { expected: 2 }));
        return [...before.ids, ...after.ids];
      });
      const polled = reader.poll();
      await transaction.commit();
      await polled;
      const { ids: last } = await store.append(deposit("bob", 1, { expected: "none" }));
      await reader.poll();
      assertSeen(reader, [...ids, ...last], "after the commit");
    },
  },
  {
    id: "order/no-skip/many-appends-one-transaction",
    promise: "A transaction of 16 000 appends exhausts nothing, and all of them are delivered.",
    tooth: locksEachAppend,
    check: async ({ open }) => {
      // How long it takes is not what the law is about.
      const store = await open({ maxTransactionMs: 500_000 });
      const appending = store.transaction(async (_tx, within) => {
        for (const n of range(16_000)) await within.append(deposit(`${n % 1_000}`));
      });
      await fulfils(appending, "A transaction holds 16 000 appends");
      const reader = createReader(store);
      await reader.poll();
      assert.equal(new Set(reader.take()).size, 16_000);
    },
  },
  {
    id: "order/no-skip/storm",
    promise:
      "Under four processes that append with delays, rollbacks and kills, readers get exactly the committed events, in order.",
    when: { shared: true },
    tooth: readsOneTooFar,
    check: async ({ store, open, spawn }) => {
      const seed = randomInt(2 ** 31);
      const readers = [createReader(store, { limit: 7 }), createReader(await open())];
      await Promise.all(readers.map((reader) => reader.poll()));

      const ends = ["finishes", "finishes", "dies-inside", "is-killed"] as const;
      const writers = ends.map((end, n): StormWriter => ({ name: `writer-${n}`, seed: seed + n, rounds: 150, end }));
      const crew = await Promise.all(
        writers.map(async (writer) => {
          const child = await spawn("order/storm", writer);
          await child.hear("ready");
          return { child, writer };
        }),
      );
      const reports = await pollWhile(Promise.all(crew.map(weather)), readers);

      const names = stormAggregates(writers.map((writer) => writer.name));
      const ids = await readTruth(store, names, readers, `seed ${seed}`);
      const known = new Set(ids);
      assert.ok(ids.length > 1_000, `Seed ${seed}: only ${ids.length} events were written.`);
      for (const { committed, rolledBack } of reports) {
        assert.ok(
          committed.every((id) => known.has(id)),
          `Seed ${seed}: a committed event is not in the log.`,
        );
        assert.ok(!rolledBack.some((id) => known.has(id)), `Seed ${seed}: a rolled-back event is in the log.`);
      }
      for (const reader of readers) assertSeen(reader, ids, `seed ${seed}`);
    },
  },
];

const noStallLaws: readonly Law[] = [
  {
    id: "order/no-stall/handler-appends",
    promise: "While a handler that has appended is still awaiting, other consumers get what others append.",
    when: { concurrentWriters: true },
    tooth: appendsAtOnce,
    check: async (bench) => {
      const { other, slow, release, quickly, seen } = await besideSlowHandler(bench);
      try {
        await other.append(deposit("bob"));
        await promptly("Another consumer goes on", quickly());
        assert.deepEqual(seen, ["alice", "bob"]);
      } finally {
        release();
      }
      await slow;
      await quickly();
      assert.deepEqual(seen, ["alice", "bob", "echo"]);
    },
  },
  {
    id: "order/no-stall/handler-appends/one-writer",
    promise: "While a handler that has appended is still awaiting, other consumers wait for it, then get everything.",
    when: { concurrentWriters: false },
    tooth: consumesOneAtATime,
    check: async (bench) => {
      const { slow, release, quickly, seen } = await besideSlowHandler(bench);
      const waiting = quickly();
      release();
      await slow;
      const { kind } = await fulfils(promptly("A waiting consumer goes on", waiting), "A second consumer waits");
      assert.equal(kind, "caught-up");
      await quickly();
      assert.deepEqual(seen, ["alice", "echo"]);
    },
  },
  {
    id: "order/no-stall/unrelated-transaction",
    promise: "Open transactions that write but append nothing hold no reader back.",
    when: { concurrentWriters: true },
    tooth: waitsForEveryTransaction,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const own = await database.begin();
      await database.effects.write(own.tx, "own", "1");
      await whileWriting(store, database, async () => {
        const { ids, positions } = await store.append(deposit("alice"));
        await promptly("A reader goes on beside open transactions", reader.poll());
        assertSeen(reader, ids, "beside open transactions");
        assert.equal(await store.head(), positions[0]);
      });
      await own.commit();
    },
  },
  {
    id: "order/no-stall/unrelated-transaction/one-writer",
    promise: "Readers do not wait for the transaction that is writing.",
    when: { concurrentWriters: false, shared: true },
    tooth: readsBehindWriters,
    check: async ({ store, database }) => {
      const reader = createReader(store);
      const { ids, positions } = await store.append(deposit("alice"));
      await whileWriting(store, database, async () => {
        await promptly("A reader goes on beside the writer", reader.poll());
        assertSeen(reader, ids, "beside the writer");
        assert.equal(await promptly("The head is told beside the writer", store.head()), positions[0]);
      });
    },
  },
];

const holderLaws: readonly Law[] = [
  {
    id: "order/holders/open-append",
    promise: "A transaction that has appended and is open is listed, with a position below its events, until it ends.",
    when: { concurrentWriters: true },
    tooth: holders("tells of nobody", () => []),
    check: async ({ store, open, database }) => {
      const other = await open();
      const { positions } = await store.append(deposit("before"));
      for (const end of ["commit", "rollback", "kill"] as const) {
        const { transaction, first } = await beginAppend(store, database, deposit("slow"));
        for (const asked of [store, other]) {
          const [holder, ...others] = await asked.frontierHolders();
          assert.ok(holder !== undefined && others.length === 0, "The open append is not listed once.");
          assert.ok(holder.position < first, `${holder.position} is not below the open append at ${first}.`);
          assert.ok(holder.position >= (positions[0] ?? START), "More is said to be held back than there is.");
          assert.ok(holder.session.length > 0, "Nothing tells who it is.");
          assert.ok(holder.since === undefined || !Number.isNaN(holder.since.getTime()));
        }
        await transaction[end]();
        // A server needs a moment to notice that a client was killed.
        await eventually(`Nobody is listed after ${end}`, async () => (await store.frontierHolders()).length === 0);
      }
    },
  },
  {
    id: "order/holders/lowest-first",
    promise: "Of several open appends the one that holds back most is listed first, and each with its own position.",
    when: { concurrentWriters: true },
    tooth: holders("tells of the latest first", (rows) => rows.toReversed()),
    check: async ({ store, database }) => {
      const appends = [];
      for (const id of ["a", "b", "c"]) {
        appends.push(await beginAppend(store, database, deposit(id)));
        await store.append(deposit("between"));
      }
      while (appends.length > 0) {
        const listed = await store.frontierHolders();
        assert.equal(listed.length, appends.length);
        for (const [index, { position }] of listed.entries()) {
          const [own, before] = [appends[index]?.first ?? START, appends[index - 1]?.first ?? START];
          assert.ok(position >= before && position < own, `Position ${position} is not between ${before} and ${own}.`);
        }
        assert.ok((await store.head()) <= (listed[0]?.position ?? START), "The head is past the first one.");
        const [first] = appends.splice(0, 1);
        await first?.transaction.commit();
      }
      assert.deepEqual(await store.frontierHolders(), []);
    },
  },
  {
    id: "order/holders/lent",
    promise: "A transaction of the store's own is listed as well once it has appended.",
    when: { concurrentWriters: true },
    tooth: holders("tells of nobody", () => []),
    check: async ({ store, open }) => {
      const other = await open();
      const [appended, released] = [gate(), gate()];
      const slow = store.transaction(async (_tx, within) => {
        await within.append(deposit("slow"));
        appended.open();
        await released.passed;
      });
      try {
        await Promise.race([appended.passed, slow]);
        assert.equal((await other.frontierHolders()).length, 1);
      } finally {
        released.open();
        await slow;
      }
      assert.deepEqual(await other.frontierHolders(), []);
    },
  },
  {
    id: "order/holders/none",
    promise: "Nobody is listed when no transaction is open, whatever was committed, rolled back or refused before.",
    tooth: holdsBackForEver,
    check: async ({ store, database }) => {
      assert.deepEqual(await store.frontierHolders(), [], "In a new database.");
      for (const end of ["commit", "rollback"] as const) {
        const { transaction } = await beginAppend(store, database, deposit("slow"));
        // Not awaited: where all calls wait for an open transaction, this one may as well.
        const asked = store.frontierHolders();
        await transaction[end]();
        await asked;
        assert.deepEqual(await store.frontierHolders(), [], `After ${end}.`);
      }
      await store.append(deposit("alice"));
      await refuses("VERSION_CONFLICT", store.append(deposit("alice", 1, { expected: "none" })));
      assert.deepEqual(await store.frontierHolders(), [], "After an append.");
    },
  },
  {
    id: "order/holders/unrelated",
    promise: "Open transactions that write but append nothing are not listed.",
    when: { concurrentWriters: true },
    tooth: suspectsEveryTransaction,
    check: async ({ store, database }) => {
      const own = await database.begin();
      await database.effects.write(own.tx, "own", "1");
      await whileWriting(store, database, async () => {
        await store.append(deposit("alice"));
        assert.deepEqual(await store.frontierHolders(), []);
      });
      await own.commit();
    },
  },
  {
    id: "order/holders/one-writer",
    promise: "Where there is one writer at a time nobody holds readers back, and nobody is listed.",
    when: { concurrentWriters: false },
    tooth: suspectsEveryTransaction,
    check: async ({ store, open }) => {
      const other = await open();
      const [appended, released] = [gate(), gate()];
      const slow = store.transaction(async (_tx, within) => {
        await within.append(deposit("slow"));
        appended.open();
        await released.passed;
      });
      await Promise.race([appended.passed, slow]);
      const asked = [store.frontierHolders(), other.frontierHolders()];
      await turn(10);
      released.open();
      assert.deepEqual(await Promise.all(asked), [[], []]);
      await slow;
    },
  },
];

const logLaws: readonly Law[] = [
  {
    id: "order/restart",
    promise:
      "No event gets a position at or below one that was told as head or `next`, whatever was rolled back or reopened since.",
    tooth: readsOneTooFar,
    check: async ({ store, open, database }) => {
      let current = store;
      for (const id of ["alice", "bob", "carol"]) {
        let told = await toldBy(current);
        const { positions } = await current.append(deposit(id));
        assertAbove(positions, told);
        const lost = await beginAppend(current, database, deposit("lost", 3));
        await lost.transaction.rollback();
        told = await toldBy(current);
        await current.close();
        current = await open();
        assertAbove((await current.append(deposit(id))).positions, told);
      }
    },
  },
  {
    id: "order/restart/crash",
    promise:
      "No event gets a position at or below one that was told as head or `next`, also after a crash with open appends.",
    when: { shared: true },
    tooth: readsOneTooFar,
    check: async ({ store, open, spawn }) => {
      const toldBefore = await toldBy(store);
      const child = await spawn("order/append-and-hang");
      await child.hear("open");
      const told = await toldBy(store);
      await child.kill();
      await store.close();
      const reopened = await open();
      const { events } = await reopened.readAll();
      assertAbove(
        events.map((event) => event.position),
        toldBefore,
      );
      assertAbove((await reopened.append(deposit("after"))).positions, told);
    },
  },
  {
    id: "order/real-positions",
    promise: "The head and the `next` of a reader that has caught up are positions of committed events.",
    tooth: readsOneTooFar,
    check: async ({ store, database }) => {
      const { positions } = await store.append(deposit("alice", 2));
      for (const count of [1, 5]) {
        const lost = await beginAppend(store, database, deposit("lost", count));
        await lost.transaction.rollback();
        assert.equal(await store.head(), positions[1]);
        assert.equal((await store.readAll()).next, positions[1]);
        assert.equal((await store.readAll({ scope: { eventTypes: ["other"] } })).next, positions[1]);
      }
    },
  },
  {
    id: "order/log/other-log-refused",
    promise:
      "A checkpoint of one log is never used with another: declaring, entering, consuming and resetting are refused.",
    tooth: forgetsLogs,
    check: async ({ store, consume }) => {
      await store.append(deposit("alice", 3));
      const log = override<EventSource>(store, () => ({ logId: "another log" }));
      const projector = defineProjector({ name: "mine", handle: () => undefined });
      await consume(store, projector);
      const checkpoint = await store.consumers.checkpoint("mine");
      assert.ok(checkpoint !== undefined);
      await refuses("LOG_MISMATCH", store.consumers.declare("mine", { kind: "projector", log }));
      await refuses("LOG_MISMATCH", store.enterZone("mine", { log }));
      await refuses("LOG_MISMATCH", consume(store, projector, { log }));
      await refuses("LOG_MISMATCH", store.consumers.reset("mine", "beginning", { log }));
      assert.equal(await store.consumers.checkpoint("mine"), checkpoint);
    },
  },
];

/** The tidemark: what a reader with a checkpoint can rely on while others write. */
export const orderLaws: readonly Law[] = [...noSkipLaws, ...noStallLaws, ...holderLaws, ...logLaws];

/** A reader with a checkpoint, as a consumer has one. */
interface Reader {
  /** Reads until it has caught up. Broken when a position, `next` or the head moves back. */
  poll(): Promise<void>;
  /** Polls, and tells whether all of `ids` have been seen by now. */
  pollFor(ids: readonly string[]): Promise<boolean>;
  /** The ids of the events that were read since they were taken, in the order of reading. */
  seen(): readonly string[];
  /** The same, and forgets them. */
  take(): readonly string[];
}

function createReader(source: EventSource, options: { readonly limit?: number } = {}): Reader {
  let seen: string[] = [];
  let after = START;
  let highestHead = START;

  async function poll(): Promise<void> {
    for (;;) {
      const page = await source.readAll({ ...options, after });
      assert.ok(page.next >= after, `\`next\` went back from ${after} to ${page.next}.`);
      for (const { id, position } of page.events) {
        assert.ok(
          position > after && position <= page.next,
          `Position ${position} is not between ${after} and ${page.next}.`,
        );
        after = position;
        seen.push(id);
      }
      after = page.next;
      if (page.events.length === 0) break;
    }
    const head = await source.head();
    assert.ok(head >= highestHead, `The head went back from ${highestHead} to ${head}.`);
    highestHead = head;
  }

  return {
    poll,
    pollFor: async (ids) => {
      await poll();
      return ids.every((id) => seen.includes(id));
    },
    seen: () => seen,
    take: () => {
      const taken = seen;
      seen = [];
      return taken;
    },
  };
}

function assertSeen(reader: Reader, expected: readonly string[], when: string): void {
  const seen = reader.take();
  const [given, wanted] = [new Set(seen), new Set(expected)];
  const missed = expected.filter((id) => !given.has(id)).length;
  const invented = seen.filter((id) => !wanted.has(id)).length;
  assert.equal(missed, 0, `${missed} of ${expected.length} committed events were skipped: ${when}.`);
  assert.equal(invented, 0, `${invented} events were read that nobody committed: ${when}.`);
  assert.deepEqual(seen, expected, `The events were read twice or in another order: ${when}.`);
}

/** A transaction that is open and has appended. */
interface OpenAppend<Tx> {
  readonly transaction: RawTransaction<Tx>;
  readonly ids: readonly string[];
  /** Of its first event. */
  readonly first: Position;
}

async function beginAppend<Tx>(
  store: Store<Tx>,
  database: TestDatabase<Tx>,
  request: AppendRequest,
): Promise<OpenAppend<Tx>> {
  const transaction = await database.begin();
  const { ids, positions } = await insideOf(store, transaction, (within) => within.append(request));
  const [first] = positions;
  assert.ok(first !== undefined, "An append has a position.");
  return { transaction, ids, first };
}

/**
 * Runs `work` as another caller would. The turn of the event loop keeps core's mark of being inside the transaction
 * with `work`: a law that carried it would be told that its other calls wait for itself.
 */
async function insideOf<Tx, T>(
  store: Store<Tx>,
  transaction: RawTransaction<Tx>,
  work: (within: StoreInTransaction) => Promise<T>,
): Promise<T> {
  await turn();
  return work(store.within(transaction.tx));
}

/** Runs `work` beside a transaction of the store that has written something of the application's and is still open. */
async function whileWriting<Tx>(
  store: Store<Tx>,
  database: TestDatabase<Tx>,
  work: () => Promise<void>,
): Promise<void> {
  const [entered, released] = [gate(), gate()];
  const writing = store.transaction(async (tx) => {
    await database.effects.write(tx, "lent", "1");
    entered.open();
    await released.passed;
  });
  try {
    await Promise.race([entered.passed, writing]);
    await work();
  } finally {
    released.open();
    await writing;
  }
}

interface SlowHandler<Tx> {
  /** The cycle of the slow consumer, under way until `release` is called. */
  readonly slow: Promise<ConsumeResult>;
  readonly release: () => void;
  /** Another store of the same database, and a consumer there. */
  readonly other: Store<Tx>;
  readonly quickly: () => Promise<ConsumeResult>;
  /** The aggregates of which that consumer got events. */
  readonly seen: readonly string[];
}

/** Two consumers: the handler of one has appended and is still awaiting, the other has yet to begin. */
async function besideSlowHandler<Tx>({ store, open, consume }: Bench<Tx>): Promise<SlowHandler<Tx>> {
  const other = await open();
  await store.append(deposit("alice"));
  const [entered, released] = [gate(), gate()];
  const seen: string[] = [];
  const quick = defineProjector<Tx>({ name: "quick", handle: ({ aggregate }) => void seen.push(aggregate.id) });
  const slow = consume(store, echoing(entered, released), { maxEvents: 1 });
  await Promise.race([entered.passed, slow]);
  return { slow, release: () => released.open(), other, quickly: () => consume(other, quick), seen };
}

/** A projector whose handler appends, opens `entered` and waits for `released`. */
function echoing<Tx>(entered: Gate, released: Gate): Projector<Tx> {
  return defineProjector({
    name: "slow",
    scope: { eventTypes: ["deposited"] },
    handle: async (_event, context) => {
      context.append({ aggregate: account("echo"), events: [{ type: "echoed", data: {} }] });
      entered.open();
      await released.passed;
    },
  });
}

interface Ending {
  readonly writer: number;
  readonly how: "commit" | "rollback";
}

/** Every order in which `writers` can end, each by commit or by rollback. */
function* endings(writers: readonly number[]): Generator<readonly Ending[]> {
  if (writers.length === 0) yield [];
  for (const writer of writers) {
    for (const rest of endings(writers.filter((other) => other !== writer))) {
      yield [{ writer, how: "commit" }, ...rest];
      yield [{ writer, how: "rollback" }, ...rest];
    }
  }
}

function subsets(items: readonly number[]): number[][] {
  return range(2 ** items.length).map((mask) => items.filter((_item, index) => ((mask - 1) >> index) % 2 === 1));
}

/** What this store tells a reader that has caught up. */
async function toldBy<Tx>(store: Store<Tx>): Promise<Position> {
  const [head, page] = [await store.head(), await store.readAll()];
  return head > page.next ? head : page.next;
}

function assertAbove(positions: readonly Position[], told: Position): void {
  for (const position of positions)
    assert.ok(position > told, `An event got position ${position}; ${told} was told before.`);
}

/** Sees a writer of the storm through to its end; what it knew by then. */
async function weather({ child, writer }: { child: Child; writer: StormWriter }): Promise<StormReport> {
  child.say("go");
  if (writer.end === "finishes") return asReport(await child.result());
  const report = asReport(await child.hear("last words"));
  if (writer.end === "dies-inside") child.say("die");
  else await child.kill();
  await child.gone();
  return report;
}

/**
 * The ids of all events, read aggregate by aggregate: in another way than the readers' own. A server may notice only
 * after a while that a writer was killed, and meanwhile hold readers back for it, or commit what it had sent: asked again
 * until the readers have the same. When they never do, what they miss is left to be found.
 */
async function readTruth<Tx>(
  store: Store<Tx>,
  names: readonly string[],
  readers: readonly Reader[],
  when: string,
): Promise<readonly string[]> {
  let truth: readonly string[] = [];
  const agreed = eventually("Readers have got what is in the log", async () => {
    const events = (await Promise.all(names.map((name) => collect(store.readAggregate(account(name)))))).flat();
    truth = events.toSorted(byPosition).map((event) => event.id);
    for (const reader of readers) await reader.poll();
    return readers.every((reader) => isDeepStrictEqual(reader.seen(), truth));
  });
  await agreed.catch((error: unknown) => {
    for (const reader of readers) assertSeen(reader, truth, when);
    throw error;
  });
  return truth;
}

/** Polls with all readers until `work` is done. */
async function pollWhile<T>(work: Promise<T>, readers: readonly Reader[]): Promise<T> {
  const done = new AbortController();
  const pollOn = async (reader: Reader): Promise<void> => {
    while (!done.signal.aborted) {
      await reader.poll();
      await turn(1);
    }
  };
  const polling = Promise.all(readers.map(pollOn));
  try {
    // A reader that finds the promise broken ends the law at once.
    await Promise.race([work, polling]);
    return await work;
  } finally {
    done.abort();
    await polling;
  }
}

function byPosition(a: RecordedEvent, b: RecordedEvent): number {
  return a.position < b.position ? -1 : 1;
}

/** 1 … `last`. */
function range(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

/** What a script said crossed a process boundary; it is what the script wrote. */
function asReport(said: unknown): StormReport {
  return said as StormReport;
}

function asIds(said: unknown): readonly string[] {
  return said as readonly string[];
}
