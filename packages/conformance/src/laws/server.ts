import { randomUUID } from "node:crypto";
import {
  type ConsumeResult,
  defineProjector,
  isTidemarkError,
  type Position,
  START,
  type Store,
  type StoreOptions,
} from "@tidemark/core";
import { everyCall } from "../calls.ts";
import { declare, enter, ORDERS } from "../consumers.ts";
import {
  effects,
  type Handle,
  handlerFor,
  history,
  type Kind,
  KINDS,
  letters,
  nameOf,
  patient,
} from "../dead-letters.ts";
import { account, deposit, readLog } from "../events.ts";
import {
  assert,
  atOnce,
  collect,
  elsewhere,
  eventually,
  fulfils,
  FULFILLED,
  gate,
  later,
  outcome,
  promptly,
  refuses,
} from "../expect.ts";
import { changeZones } from "../faults.ts";
import { type Bench, type Law, override, type Site } from "../law.ts";
import { renamesIds } from "../lies/append.ts";
import {
  believesInZones,
  FEW,
  forgetsGivenUpAppends,
  givesZonesUp,
  leaksConnections,
  neverComesBack,
  refusesWhenAllAreTaken,
  takesOutagesForBugs,
  waitsForConnectionsForEver,
  waitsInSpiteOfSignals,
  waitsOutOutages,
} from "../lies/server.ts";
import { ignoresPosition } from "../lies/zones.ts";
import { expectLoss, overLine, SOON_MS } from "../line.ts";

const lostLaws: readonly Law[] = [
  {
    id: "lifetime/server/lost",
    promise: "While the server cannot be reached every call fails with UNAVAILABLE, and none hangs.",
    when: { server: true },
    tooth: takesOutagesForBugs,
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      await store.append(deposit("alice", 500));
      await declare(store);
      await declare(store, "mine");
      const zone = await enter(store);
      const stream = store.readAggregate(account("alice"))[Symbol.asyncIterator]();
      await stream.next();
      await line.cut();
      const calls = [
        ...everyCall(store),
        () => zone.commit(() => zone.position),
        () => store.claims.claim(ORDERS, "key", { token: "token", ms: 1_000 }),
        () => collect(store.sagas.list(ORDERS)),
        () => collect(store.deadLetters.list(ORDERS)),
        () => store.deadLetters.retry(ORDERS, "all"),
        () => bench.consume(store, defineProjector({ name: "another", handle: () => undefined })),
        () => restOf(stream),
        () => zone.leave(),
        () => bench.open({}, () => line.adapter()),
      ];
      for (const call of calls) {
        await promptly(`${String(call)} without a server`, refuses("UNAVAILABLE", call()), SOON_MS);
      }
    },
  },
  {
    id: "lifetime/server/lost/works-again",
    promise: "As soon as the server is back every call works again, on the same store.",
    when: { server: true },
    tooth: neverComesBack,
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      await declare(store, "mine");
      for (let round = 1; round <= 3; round++) {
        await line.cut();
        await refuses("UNAVAILABLE", store.head());
        await line.mend();
        for (const call of everyCall(store)) {
          const end = await promptly(`${String(call)} with the server back`, outcome(call()), SOON_MS);
          assert.ok(!isTidemarkError(end, "UNAVAILABLE"), `${String(call)} fails with the server back: ${String(end)}`);
        }
        const { last } = await fulfils(store.append(deposit("bob")), "The server is back");
        assert.equal(last, round);
      }
    },
  },
  {
    id: "lifetime/server/lost/append",
    promise:
      "An append that begins while the server cannot be reached is tried again, and is there once when it is back.",
    when: { server: true },
    tooth: takesOutagesForBugs,
    check: async (bench) => {
      const { line, store } = await overLine(bench, PATIENT);
      await line.cut();
      const appending = later(store.append(deposit("alice", 2)));
      assert.equal(await atOnce(outcome(appending), 100), undefined, "The append waits for the server.");
      await line.mend();
      const { first, ids } = await promptly("The append goes on", fulfils(appending, "It is tried again"), SOON_MS);
      assert.equal(first, 1);
      assert.deepEqual(await idsOf(bench.store, "alice"), ids);
    },
  },
  {
    id: "lifetime/server/lost/transaction",
    promise: "A transaction whose connection is lost leaves nothing behind, and runs again where the caller allows it.",
    when: { server: true },
    tooth: takesOutagesForBugs,
    check: async <Tx>(bench: Bench<Tx>) => {
      const { line, store } = await overLine(bench);
      const { effects: table } = bench.database;
      let runs = 0;
      const losing = async (tx: Tx): Promise<void> => {
        runs += 1;
        await table.write(tx, `run ${runs}`, "done");
        if (runs > 2) return;
        await line.cut();
        await line.mend();
      };
      await refuses("UNAVAILABLE", store.transaction(losing));
      await fulfils(store.transaction(losing, { retry: "transient" }), "It runs again");
      assert.equal(runs, 3);
      const written = [await table.read("run 1"), await table.read("run 2"), await table.read("run 3")];
      assert.deepEqual(written, [undefined, undefined, "done"]);
    },
  },
  {
    id: "lifetime/server/lost/wait",
    promise: "A reader that waits while the server is lost is told so, or gets what is appended when it is back.",
    when: { server: true },
    tooth: waitsOutOutages,
    check: async (bench) => {
      let failures = 0;
      const { line, store } = await overLine(bench, { poll: { minMs: 5, maxMs: 20 } }, (real) =>
        override(real, () => ({
          head: (op) =>
            real.head(op).catch((error: unknown) => {
              failures += 1;
              throw error;
            }),
        })),
      );
      const waiting = later(store.wait(await store.head(), { timeoutMs: 500_000 }));
      await line.cut();
      await eventually("A reader looks for news", () => failures > 0);
      await line.mend();
      const { positions } = await bench.store.append(deposit("alice"));
      const end = await promptly(
        "A waiting reader is answered",
        waiting.catch((error: unknown) => error),
        SOON_MS,
      );
      if (!isTidemarkError(end, "UNAVAILABLE")) assert.equal(end, positions[0]);
      assert.equal(await store.head(), positions[0]);
    },
  },
  {
    id: "lifetime/server/lost/zone",
    promise: "A zone outlives a loss of the server that is shorter than its lease.",
    when: { server: true },
    tooth: givesZonesUp,
    check: async (bench) => {
      let failures = 0;
      const { line, store } = await overLine(bench, {}, (real) =>
        changeZones(real, (zones) => ({
          renew: (...args) =>
            zones.renew(...args).catch((error: unknown) => {
              failures += 1;
              throw error;
            }),
        })),
      );
      await declare(store);
      const zone = await enter(store, ORDERS, { leaseMs: 15_000 });
      await line.cut();
      await eventually("The zone is renewed", () => failures > 0);
      await line.mend();
      assert.ok(!zone.signal.aborted, "The zone counts as lost.");
      const { positions } = await store.append(deposit("alice"));
      await fulfils(
        zone.commit(() => positions[0] ?? zone.position),
        "The zone is still held",
      );
      assert.equal(await bench.store.enterZone(ORDERS), undefined, "Somebody else has entered it.");
    },
  },
  {
    id: "lifetime/server/lost/zone-expires",
    promise: "A zone counts as lost once its lease has run out while the server could not be reached.",
    when: { server: true },
    tooth: believesInZones,
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      await declare(store);
      const zone = await enter(store, ORDERS, { leaseMs: 300 });
      await line.cut();
      await eventually("The zone counts as lost", () => zone.signal.aborted, SOON_MS);
      await line.mend();
      await refuses(
        "ZONE_LOST",
        zone.commit(() => zone.position),
      );
    },
  },
  {
    id: "lifetime/server/lost/close",
    promise: "A store whose server is lost can be closed.",
    when: { server: true },
    tooth: waitsOutOutages,
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      await declare(store);
      await enter(store);
      await line.cut();
      await promptly("A store closes without its server", fulfils(store.close(), "A store can be closed"), SOON_MS);
      await refuses("CLOSED", store.head());
    },
  },
  ...KINDS.map((kind): Law => ({
    id: `lifetime/server/lost/consuming/${kind}`,
    promise: `A loss of the server is waited out by a consumer (${kind}), which then goes on as if nothing had been.`,
    when: { server: true },
    tooth: takesOutagesForBugs,
    check: (bench) => checkConsumingOnward(bench, kind),
  })),
];

const acknowledgementLaws: readonly Law[] = [
  {
    id: "lifetime/server/lost-ack",
    promise: "An append whose answer is lost on its way from the server is there once, and its caller gets the result.",
    when: { server: true },
    tooth: { lie: "does not know event ids again", adapter: renamesIds },
    check: async (bench) => {
      const { line, store } = await overLine(bench);
      await store.append(deposit("alice"));
      const marks = [randomUUID(), randomUUID()];
      for (const [round, mark] of marks.entries()) {
        const loss = await line.loseAcknowledgement(mark);
        const events = [{ type: "deposited", data: { mark } }];
        const requests = ["alice", `bob ${round}`].map((id) => ({ aggregate: account(id), events }));
        const results = await fulfils(store.appendAll(requests), "The store asks again");
        expectLoss(loss);
        assert.deepEqual(
          results.map((result) => [result.first, result.last]),
          [
            [round + 2, round + 2],
            [1, 1],
          ],
        );
        assert.deepEqual(await idsOf(bench.store, `bob ${round}`), results[1]?.ids);
      }
      assert.equal((await readLog(bench.store)).events.length, 1 + 2 * marks.length);
    },
  },
  ...(["projector", "batch", "saga"] as const).map((kind): Law => ({
    id: `lifetime/server/lost-commit/${kind}`,
    promise: `What a consumer (${kind}) did in a transaction is there once, also when the answer to its commit is lost.`,
    when: { server: true },
    tooth: ignoresPosition,
    check: (bench) => checkLostCommit(bench, kind),
  })),
];

const poolLaws: readonly Law[] = [
  {
    id: "lifetime/pool/exhausted",
    promise:
      "A call that waits for a connection, because all are taken, ends with ABORTED as soon as its signal fires.",
    when: { server: true },
    tooth: waitsInSpiteOfSignals,
    check: async (bench) => {
      const store = await withFewConnections(bench);
      const release = await takeAll(store);
      const calls: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
        (signal) => store.transaction(async () => undefined, { signal }),
        (signal) => store.consumers.get(ORDERS, { signal }),
        (signal) => store.claims.claim(ORDERS, "key", { token: "token", ms: 1_000, signal }),
      ];
      // An adapter may keep connections of its own for these, which nobody can take.
      const others: typeof calls = [
        (signal) => store.append(deposit("alice"), { signal }),
        (signal) => store.readAll({ signal }),
        (signal) => store.head({ signal }),
      ];
      for (const call of [...calls, ...others]) {
        const controller = new AbortController();
        const waiting = outcome(call(controller.signal));
        const soon = await atOnce(waiting, others.includes(call) ? 1_000 : 50);
        if (others.includes(call) && soon === FULFILLED) continue;
        assert.equal(soon, undefined, `${String(call)} waits for a connection.`);
        controller.abort();
        const end = await promptly(`${String(call)} ends by its signal`, waiting);
        if (others.includes(call) && end === FULFILLED) continue;
        assert.ok(isTidemarkError(end, "ABORTED"), `${String(call)} ends with ${String(end)}`);
      }
      await release();
    },
  },
  {
    id: "lifetime/pool/exhausted/busy",
    promise: "A call that has waited for a connection as long as it may fails with BUSY, and says what to do.",
    when: { server: true },
    tooth: waitsForConnectionsForEver,
    check: async (bench) => {
      const store = await opened(() => withFewConnections(bench, { waitMs: 1_500 }));
      const release = await takeAll(store);
      // An adapter may keep connections of its own for these, which nobody can take. First, while they are open.
      for (const call of [() => store.head(), () => store.append(deposit("alice"))]) {
        const end = await promptly(`${String(call)} is answered`, outcome(call()), SOON_MS);
        assert.ok(end === FULFILLED || isTidemarkError(end, "BUSY"), `${String(call)} ends with ${String(end)}`);
      }
      const calls = [() => store.transaction(async () => undefined), () => store.consumers.get(ORDERS)];
      for (const call of calls) {
        const refused = refuses("BUSY", call());
        const { message, details } = await promptly(`${String(call)} is answered`, refused, SOON_MS);
        assert.ok(details.waitedMs > 0);
        assert.match(message, /connection/i);
      }
      await release();
      await eventually("Connections are free again", () => unlessNone(store.append(deposit("alice"))));
    },
  },
  {
    id: "lifetime/pool/exhausted/waits",
    promise: "Calls wait while all connections are taken, and go on when one is free.",
    when: { server: true },
    tooth: refusesWhenAllAreTaken,
    check: async (bench) => {
      const store = await withFewConnections(bench);
      const release = await takeAll(store);
      const waiting = [outcome(store.transaction(async () => undefined)), outcome(store.consumers.get(ORDERS))];
      const others = [outcome(store.append(deposit("alice"))), outcome(store.readAll())];
      for (const call of waiting) assert.equal(await atOnce(call, 50), undefined, "A call waits for a connection.");
      await release();
      for (const call of [...waiting, ...others]) assert.equal(await promptly("A call goes on", call), FULFILLED);
    },
  },
  {
    id: "lifetime/pool/exhausted/given-back",
    promise: "A connection that becomes free for a caller who has given up goes back into the pool.",
    when: { server: true },
    tooth: leaksConnections,
    check: async (bench) => {
      const store = await opened(() => withFewConnections(bench, { waitMs: 5_000 }));
      for (let round = 1; round <= 2; round++) {
        const release = await takeAll(store);
        const controller = new AbortController();
        const waiting = [1, 2, 3].map(() => outcome(store.transaction(async () => undefined, controller)));
        assert.equal(await atOnce(Promise.race(waiting), 50), undefined, "The calls wait for a connection.");
        controller.abort();
        await promptly("The calls end", Promise.all(waiting));
        await release();
      }
      await (
        await takeAll(store)
      )();
      await fulfils(store.append(deposit("alice")), "Connections are free again");
    },
  },
  {
    id: "lifetime/pool/given-up-appends",
    promise:
      "Appends that are given up while they wait for a locked aggregate hold up nobody else, and are not written later.",
    when: { server: true, concurrentWriters: true },
    tooth: forgetsGivenUpAppends,
    check: async (bench) => {
      const store = await withFewConnections(bench);
      // There already: an adapter may take a while to find out of one that is not.
      await store.append(deposit("held"));
      const holder = await bench.database.begin();
      await elsewhere(() => bench.store.within(holder.tx).append(deposit("held")));
      for (let n = 1; n <= GIVEN_UP; n++) {
        const controller = new AbortController();
        const waiting = outcome(store.append(deposit("held"), controller));
        assert.equal(await atOnce(waiting, 40), undefined, "An append waits for the lock.");
        controller.abort();
        const end = await promptly("An append ends by its signal", waiting);
        assert.ok(isTidemarkError(end, "ABORTED"), `It ends with ${String(end)}`);
      }
      for (const call of [
        () => store.append(deposit("free")),
        () => store.head(),
        () => store.consumers.get(ORDERS),
        () => store.transaction((_tx, within) => within.append(deposit("free"))),
        () => elsewhere(() => bench.store.within(holder.tx).append(deposit("held"))),
      ]) {
        assert.equal(await promptly(`${String(call)} goes on`, outcome(call()), SOON_MS), FULFILLED);
      }
      await holder.commit();
      await promptly("An append goes on after the lock", fulfils(store.append(deposit("held")), "It is free again"));
      const { events } = await readLog(store);
      assert.deepEqual(events.map((event) => event.aggregate.id).toSorted(), [
        "free",
        "free",
        "held",
        "held",
        "held",
        "held",
      ]);
    },
  },
];

/** More appends than an adapter has connections for them beside its pool. */
const GIVEN_UP = 12;

/** What happens to a store whose database is a server: it is lost, it is busy. */
export const serverLaws: readonly Law[] = [...lostLaws, ...acknowledgementLaws, ...poolLaws];

/** Tries again until the law has mended what is broken. */
const PATIENT: StoreOptions = { retry: { attempts: 1_000, minDelayMs: 5, maxDelayMs: 20 } };

function withFewConnections<Tx>(
  { database, open }: Site<Tx>,
  options: { readonly waitMs?: number } = {},
): Promise<Store<Tx>> {
  return open({}, () => database.adapter({ connections: FEW, ...options }));
}

/** What bounds the wait for a connection bounds the making of one as well, which may take longer: then again. */
function opened<Tx>(open: () => Promise<Store<Tx>>): Promise<Store<Tx>> {
  return eventually("A store opens", () => unlessNone(open()));
}

/** Takes all connections of a store that has few, by transactions that stay open. Gives them back when called. */
function takeAll<Tx>(store: Store<Tx>): Promise<() => Promise<void>> {
  return eventually("All connections can be taken", () => unlessNone(takeAllOnce(store)));
}

async function takeAllOnce<Tx>(store: Store<Tx>): Promise<() => Promise<void>> {
  const released = gate();
  const taken = Array.from({ length: FEW }, () => {
    const entered = gate();
    const open = store.transaction(() => {
      entered.open();
      return released.passed;
    });
    return { entered: Promise.race([entered.passed, open]), open: later(open) };
  });
  try {
    await Promise.all(taken.map(({ entered }) => entered));
  } catch (error) {
    released.open();
    await Promise.allSettled(taken.map(({ open }) => open));
    throw error;
  }
  return async () => {
    released.open();
    await Promise.all(taken.map(({ open }) => open));
  };
}

/** What the call comes to; undefined when no connection was free for it, or a new one not made in time. */
function unlessNone<T>(call: Promise<T>): Promise<T | undefined> {
  const answer = call.catch((error: unknown) => {
    if (isTidemarkError(error, "BUSY") || isTidemarkError(error, "UNAVAILABLE")) return undefined;
    throw error;
  });
  return fulfils(answer, "A call gets a connection, or is told that there is none");
}

async function checkConsumingOnward<Tx>(bench: Bench<Tx>, kind: Kind): Promise<void> {
  const { line, store } = await overLine(bench);
  const positions = await history(bench.store, "a1 b1 a2 b2 a3");
  const apply = handlerFor(store, new Set<string>());
  let outages = 0;
  const handle: Handle<Tx> = async (event, context) => {
    if (nameOf(event) === "a2" && outages === 0) {
      outages += 1;
      await line.cut();
      setTimeout(() => void line.mend(), OUTAGE_MS);
    }
    await apply(event, context);
  };
  const result = await fulfils(
    bench.consume(store, patient(kind, handle), { fetchSize: 2 }),
    "The outage is waited out",
  );
  // An observer's handler may have had its effect before it was told that it failed, or have it long after.
  const end = kind === "observer" ? (positions.get("a3") ?? START) : await bench.store.head();
  await assertWell(bench.store, result, end);
  const { a = [], b = [] } = await effects(bench.store);
  const done = kind === "observer" ? [[...new Set(a)], [...new Set(b)]] : [a, b];
  assert.deepEqual(done, [
    ["a1", "a2", "a3"],
    ["b1", "b2"],
  ]);
}

/** Much shorter than what a consumer waits out. */
const OUTAGE_MS = 200;

async function checkLostCommit<Tx>(bench: Bench<Tx>, kind: Kind): Promise<void> {
  const { line, store } = await overLine(bench);
  await history(bench.store, "a1 b1 a2 b2 a3");
  const mark = randomUUID();
  let loss: { readonly isLost: boolean } | undefined;
  const apply = handlerFor(store, new Set<string>());
  const handle: Handle<Tx> = async (event, context) => {
    if (nameOf(event) === "a2" && "store" in context) {
      loss ??= await line.loseAcknowledgement(mark);
      await context.store.append({ aggregate: account("marked"), events: [{ type: "marked", data: mark }] });
    }
    await apply(event, context);
  };
  const result = await fulfils(bench.consume(store, patient(kind, handle), { fetchSize: 2 }), "It finds out");
  expectLoss(loss);
  assert.deepEqual(await effects(bench.store), { a: ["a1", "a2", "a3"], b: ["b1", "b2"] });
  assert.equal((await idsOf(bench.store, "marked")).length, 1);
  await assertWell(bench.store, result, await bench.store.head());
}

async function assertWell<Tx>(store: Store<Tx>, result: ConsumeResult, end: Position): Promise<void> {
  assert.ok(result.kind === "caught-up", `It ends with ${result.kind}.`);
  assert.deepEqual(await letters(store), []);
  const state = await store.consumers.get(ORDERS);
  assert.equal(state?.segments[0]?.error, undefined, "An outage is no error of the consumer.");
  assert.equal(state?.segments[0]?.position, result.position);
  assert.ok(result.position >= end, `It has got to ${result.position} of ${end}.`);
}

async function idsOf<Tx>(store: Store<Tx>, id: string): Promise<readonly string[]> {
  const events = await collect(store.readAggregate(account(id)));
  return events.map((event) => event.id);
}

async function restOf<T>(iterator: AsyncIterator<T>): Promise<void> {
  while ((await iterator.next()).done !== true);
}
