import { createSqliteStore, type SqliteStore, type SqliteTransaction } from "@tidemark/adapter-sqlite";
import { consume, defineObserver, defineProjector } from "@tidemark/core";
import { expect, test, vi } from "vitest";
import { limitRate } from "../src/consumers/executor.ts";
import { turnover } from "../src/consumers/failure.ts";
import { retryFailures } from "../src/consumers/operate.ts";
import { consumeFrom } from "../src/consumers/other-log.ts";
import { untilShown } from "../src/consumers/read-your-writes.ts";
import { rebuild, replace } from "../src/consumers/rebuild.ts";
import { split } from "../src/consumers/split.ts";

async function withStore(work: (store: SqliteStore) => Promise<void>): Promise<void> {
  const store = await createSqliteStore({ file: ":memory:" });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

const sell = (store: SqliteStore, id: string, currency = "EUR") =>
  store.append({ aggregate: { type: "sale", id }, events: [{ type: "sold", data: { amount: 2, currency } }] });

test("a poisoned event is parked, what follows it waits, and both are replayed when it is mended", () =>
  withStore(async (store) => {
    await store.transaction(async (tx) => tx.exec("create table turnover (position integer primary key, amount real)"));
    let known = false;
    let calls = 0;
    const rates = {
      of: (currency: string) => {
        if (calls++ < 2) return "not loaded yet" as const;
        return currency === "XTS" && !known ? undefined : 1;
      },
    };
    const projector = turnover(rates);
    await sell(store, "1", "XTS");
    await sell(store, "1");
    await sell(store, "2");
    expect(await consume(store, projector)).toMatchObject({ kind: "caught-up", handled: 1 });
    expect(await store.deadLetters.count("turnover")).toBe(2);

    const log = vi.spyOn(console, "log").mockReturnValue();
    known = true;
    expect(await retryFailures(store, "turnover")).toBe(1);
    expect(log.mock.calls).toEqual([["sold at 1: Unknown currency (3 attempts)"]]);
    log.mockRestore();
    expect(await consume(store, projector)).toMatchObject({ kind: "caught-up", handled: 2 });
    expect(await store.deadLetters.count("turnover")).toBe(0);
    const rows = await store.transaction(async (tx) => tx.prepare("select count(*) as n from turnover").all());
    expect(rows).toEqual([{ n: 3 }]);
  }));

test("one waits for a read model, for its own aggregate", () =>
  withStore(async (store) => {
    const revenue = defineProjector({
      name: "revenue",
      failure: { attempts: 1 },
      handle: ({ aggregate }) => {
        if (aggregate.id === "bad") throw new Error("poisoned");
      },
    });
    const append = (id: string) =>
      store.append({ aggregate: { type: "order", id }, events: [{ type: "placed", data: null }] });
    await append("bad");
    await append("good");
    await consume(store, revenue);
    expect(await untilShown(store, "good", await store.head())).toBe("shown");
    expect(await untilShown(store, "bad", await store.head())).toBe("an event of this order is parked");
  }));

test("a rejected task ends the cycle and is offered again", () =>
  withStore(async (store) => {
    const handled: bigint[] = [];
    const observer = defineObserver({
      name: "limited",
      start: "beginning",
      handle: ({ position }) => void handled.push(position),
    });
    for (const id of ["1", "2", "3"]) await sell(store, id);
    let time = 0;
    const executor = limitRate(2, () => time);
    expect(await consume(store, observer, { executor })).toMatchObject({ kind: "rejected", handled: 2, position: 2n });
    time = 1_000;
    expect(await consume(store, observer, { executor })).toMatchObject({ kind: "caught-up", handled: 1 });
    expect(handled).toEqual([1n, 2n, 3n]);
  }));

test("events of another log are applied once", () =>
  withStore((log) =>
    withStore(async (state) => {
      const copied = defineProjector<SqliteTransaction>({
        name: "copied",
        handle: ({ aggregate }, { tx }) => tx.prepare("insert into copied values (?)").run(aggregate.id),
      });
      await state.transaction(async (tx) => tx.exec("create table copied (id text primary key)"));
      await sell(log, "1");
      expect(await consumeFrom(log, state, copied)).toMatchObject({ handled: 1 });
      expect(await consumeFrom(log, state, copied)).toMatchObject({ handled: 0 });
      await expect(consume(state, copied)).rejects.toMatchObject({ code: "LOG_MISMATCH" });
    }),
  ));

test("a consumer is split while nothing is lost or handled twice", () =>
  withStore(async (store) => {
    const seen: string[] = [];
    const inSegments = (segments: number) =>
      defineProjector<SqliteTransaction>({
        name: "split",
        segments,
        handle: ({ aggregate }) => void seen.push(aggregate.id),
      });
    for (const id of ["1", "2", "3", "4"]) await sell(store, id);
    await consume(store, inSegments(1), { maxEvents: 1 });
    await split(store, inSegments(1), "split", 4);
    await sell(store, "5");
    for (const segment of [0, 1, 2, 3]) await consume(store, inSegments(4), { segment });
    expect(seen.toSorted()).toEqual(["1", "2", "3", "4", "5"]);
  }));

test("a version is rebuilt behind the active one and takes its place", () =>
  withStore(async (store) => {
    const live: string[] = [];
    const version = (number: number) =>
      defineProjector<SqliteTransaction>({
        name: "rebuilt",
        version: number,
        handle: ({ aggregate }, context) => {
          if (context.live) live.push(`${aggregate.id} by ${number}`);
        },
      });
    await sell(store, "1");
    await consume(store, version(1));
    await sell(store, "2");
    expect(await rebuild(store, version(2))).toBe(1n);
    await replace(store, version(2));
    await consume(store, version(2));
    expect(live).toEqual(["1 by 1", "2 by 2"]);
    expect(await store.consumers.get("rebuilt")).toBeUndefined();
  }));
