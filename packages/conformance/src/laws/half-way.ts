import { randomInt } from "node:crypto";
import { isTidemarkError, type Store } from "@tidemark/core";
import { actorsOf, ALICE, latest, save } from "../actors.ts";
import { account, deposit } from "../events.ts";
import { assert, collect, FULFILLED, outcome, turn } from "../expect.ts";
import type { Law } from "../law.ts";
import { commitsWhatIsAborted } from "../lies/append.ts";
import { row, sagaZone } from "../sagas.ts";

/** Signals fire at any moment: often enough to meet the store between two statements. */
const ROUNDS = 40;
const LONGEST_MS = 12;
/** What the store is asked to do in a transaction, on average: most are aborted. */
const LONG = 40;
const SAGA = "half-way";

/** A transaction ends while the store itself is at work in it, and its connection is used for something else at once. */
export const halfWayLaws: readonly Law[] = [
  {
    id: "append/abort/transaction/half-way",
    promise:
      "Of a transaction that is aborted while the store appends in it nothing remains, and nothing goes on elsewhere.",
    tooth: { lie: "commits what it says is aborted", adapter: commitsWhatIsAborted },
    check: async ({ store }) => {
      const appended = new Map<string, number>();
      for (let round = 0; round < ROUNDS; round++) {
        const names = [`a ${round}`, `b ${round}`];
        let events = 0;
        const end = await aborted((done, signal) =>
          store.transaction(
            async (_tx, inside) => {
              while (randomInt(LONG) > 0) {
                await inside.appendAll([...names, "shared"].map((name) => deposit(name, 2)));
                events += 2;
                await turn(1);
              }
              done();
            },
            { signal },
          ),
        );
        await useConnections(store);
        const counts = await Promise.all(names.map((name) => count(store, name)));
        const expected = end === "committed" || (end === "unknown" && counts[0] !== 0) ? events : 0;
        assert.deepEqual(counts, [expected, expected], "All of a transaction's events are there, or none.");
        for (const name of names) appended.set(name, expected);
      }
      for (const [name, events] of appended) assert.equal(await count(store, name), events, "None is added later.");
      const sum = [...appended.values()].reduce((total, events) => total + events, 0) / 2;
      assert.equal(await count(store, "shared"), sum);
      await store.append(deposit("shared", 1, { expected: sum }));
    },
  },
  {
    id: "sagas/abort/half-way",
    promise:
      "Of a transaction that is aborted while the store writes a saga in it nothing remains, and nothing goes on elsewhere.",
    tooth: { lie: "commits what it says is aborted", adapter: commitsWhatIsAborted },
    check: async ({ store }) => {
      const zone = await sagaZone(store, SAGA);
      await zone.commit(async ({ records }) => {
        await records.sagas.insert(SAGA, row("one", { fixed: "one", changing: "0" }, 0));
        return zone.position;
      });
      let last = 0;
      for (let round = 1; round <= ROUNDS; round++) {
        let data = last;
        const end = await aborted((done, signal) =>
          zone.commit(
            async ({ records }) => {
              while (randomInt(LONG) > 0) {
                const [saga] = await records.sagas.find(SAGA, "fixed", "one");
                assert.ok(saga !== undefined, "The saga is found by what does not change.");
                data += 1;
                const associations = { fixed: "one", changing: `${data}` };
                assert.ok(await records.sagas.update(SAGA, { ...saga, associations, data }), "It is as it was found.");
                await turn(1);
              }
              done();
              return zone.position;
            },
            { signal },
          ),
        );
        await useConnections(store);
        const sagas = await store.sagas.find(SAGA, "fixed", "one");
        const isNew = end === "committed" || (end === "unknown" && sagas[0]?.data === data);
        if (isNew) last = data;
        assert.deepEqual(
          sagas.map((saga) => ({ associations: saga.associations, data: saga.data })),
          [{ associations: { fixed: "one", changing: `${last}` }, data: last }],
          "The saga is as it was committed last.",
        );
      }
      await zone.leave();
    },
  },
  {
    id: "actors/abort/half-way",
    promise:
      "Of a transaction that is aborted while the store keeps snapshots and ids in it nothing remains, and nothing goes on elsewhere.",
    tooth: { lie: "commits what it says is aborted", adapter: commitsWhatIsAborted },
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      let last = 0;
      for (let round = 0; round < ROUNDS; round++) {
        let n = last;
        const end = await aborted((done, signal) =>
          store.transaction(
            async (_tx, inside) => {
              const within = await actorsOf(inside);
              while (randomInt(LONG) > 0) {
                n += 1;
                await save(within, `a:${n}`, { _ancestor: n === 1 ? "" : `a:${n - 1}` });
                await within.mapIds(`s-${n}`, "number");
                await turn(1);
              }
              done();
            },
            { signal },
          ),
        );
        await useConnections(store);
        const head = await latest(actors);
        if (end === "committed" || (end === "unknown" && head === `a:${n}`)) last = n;
        const expected = last === 0 ? [undefined, undefined] : [`a:${last}`, `s-${last}`];
        assert.deepEqual([head, await actors.getSystemId("number")], expected, "It is as it was committed last.");
        const { snapshots, anomalies } = await actors.inspect(ALICE);
        assert.deepEqual([snapshots, anomalies], [last, []], "Nothing else is there.");
      }
    },
  },
];

/**
 * Runs work whose signal fires at any moment. `unknown`: the work was done, and the signal fired on the way to the end of
 * its transaction.
 */
async function aborted(
  work: (done: () => void, signal: AbortSignal) => Promise<unknown>,
): Promise<"committed" | "unknown" | "aborted"> {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), randomInt(LONGEST_MS));
  let isDone = false;
  const end = await outcome(work(() => void (isDone = true), aborter.signal));
  clearTimeout(timer);
  if (end === FULFILLED) return "committed";
  assert.ok(isTidemarkError(end, "ABORTED"), `The transaction ends with ${String(end)}.`);
  return isDone ? "unknown" : "aborted";
}

async function count<Tx>(store: Store<Tx>, id: string): Promise<number> {
  return (await collect(store.readAggregate(account(id)))).length;
}

/** Whoever still has a connection in mind that was given back meets somebody else on it. */
async function useConnections<Tx>(store: Store<Tx>): Promise<void> {
  const used = Array.from({ length: 3 }, () =>
    store.transaction((_tx, inside) => collect(inside.readAggregate(account("shared"), { limit: 1 }))),
  );
  await Promise.all(used);
}
