import {
  type AppendRequest,
  type AppendResult,
  type EventInput,
  type Expected,
  isTidemarkError,
  LIMITS,
  type Position,
  type Store,
  type StoreInTransaction,
  TidemarkError,
  TransientError,
} from "@tidemark/core";
import type { Adapter, AppendOutcome, AppendUnit } from "@tidemark/core/spi";
import { account, deposit, deposits, leavesTheLog, readLog } from "../events.ts";
import {
  assert,
  atOnce,
  collect,
  elsewhere,
  fulfils,
  gate,
  later,
  outcome,
  promptly,
  refuses,
  turn,
} from "../expect.ts";
import { type Bench, type Law, override } from "../law.ts";
import {
  appendsAsIfFromOutside,
  appendsInReverse,
  appendsInTwoSteps,
  appendsPartByPart,
  comparesContentBy,
  ignoresExpected,
  ignoresTheSignalOfTransactions,
  keepsSomeOfWhatFails,
  keepsSomeOfWhatItRefuses,
  onAppends,
  onAppendsInside,
  onOutcomes,
  onParts,
  onRefs,
  onRequests,
  onRows,
  pretended,
  remembersWhatWasRolledBack,
  renamesIds,
  replacesMetadata,
  sayingOf,
  showsTheUncommitted,
  skipsKnownIds,
  waitsForCallers,
  writesOnlyTheFirstOfABatch,
} from "../lies/append.ts";
import { RACE_ROUNDS } from "../scripts/append.ts";
import type { RawTransaction } from "../subject.ts";

export const appendLaws: readonly Law[] = [
  {
    id: "append/versions/contiguous",
    promise: "Versions of an aggregate are 1, 2, 3 … in append order.",
    check: async ({ store }) => {
      for (const [count, first] of [
        [2, 1],
        [1, 3],
        [3, 4],
      ] as const) {
        const result = await store.append({ aggregate: account("a"), events: deposits(count, first) });
        assert.deepEqual([result.first, result.last], [first, first + count - 1]);
      }
      const events = await collect(store.readAggregate(account("a")));
      assert.deepEqual(
        events.map((event) => [event.version, event.data]),
        range(6).map((n) => [n, { amount: n }]),
      );
    },
    tooth: {
      lie: "leaves a gap before every version",
      adapter: (real) => onRows(real, (row) => ({ ...row, version: row.version * 2 })),
    },
  },
  {
    id: "append/versions/per-aggregate",
    promise: "Two aggregates count their versions separately, also with equal ids under different types.",
    check: async ({ store }) => {
      await store.append({ aggregate: { type: "account", id: "7" }, events: deposits(3) });
      for (const other of [
        { type: "order", id: "7" },
        { type: "account", id: "8" },
      ]) {
        const { first, last } = await store.append({ aggregate: other, events: deposits(2) });
        assert.deepEqual([first, last], [1, 2]);
        assert.equal((await collect(store.readAggregate(other))).length, 2);
      }
      assert.equal((await store.append({ aggregate: { type: "account", id: "7" }, events: deposits(1) })).first, 4);
    },
    tooth: {
      lie: "tells aggregates apart by their ids only",
      adapter: (real) => onRefs(real, (ref) => ({ ...ref, type: "any" })),
    },
  },
  {
    id: "append/versions/per-context",
    promise: "An aggregate of one context is not that of another, and no context means the context `default`.",
    check: async ({ store }) => {
      await store.append(deposit("a", 3));
      const abroad = { ...account("a"), context: "abroad" };
      assert.equal((await store.append({ aggregate: abroad, events: deposits(1) })).first, 1);
      const inDefault = { ...account("a"), context: "default" };
      assert.equal((await store.append({ aggregate: inDefault, events: deposits(1) })).first, 4);
      const contexts = (await readLog(store)).events.map((event) => event.aggregate.context);
      assert.deepEqual(contexts, ["default", "default", "default", "abroad", "default"]);
    },
    tooth: {
      lie: "knows one context only",
      adapter: (real) => onRefs(real, (ref) => ({ ...ref, context: "default" })),
    },
  },
  {
    id: "append/expected/any",
    promise: "An append that expects `any`, or says nothing, is accepted in every state of its aggregate.",
    check: async ({ store }) => {
      await acceptsExactly(store, ["any"], () => true);
      assert.equal((await fulfils(store.append(deposit("new")), "any is the default")).first, 1);
      assert.equal((await fulfils(store.append(deposit("new")), "any is the default")).first, 2);
    },
    tooth: {
      lie: "takes `any` for `none`",
      adapter: (real) =>
        onParts(real, (part) => ({ ...part, expected: part.expected === "any" ? "none" : part.expected })),
    },
  },
  {
    id: "append/expected/none",
    promise: "An append that expects `none`, or version 0, is accepted only for an aggregate without events.",
    check: ({ store }) => acceptsExactly(store, ["none", 0], (_expected, version) => version === 0),
    tooth: { lie: "accepts every expected version", adapter: ignoresExpected },
  },
  {
    id: "append/expected/exists",
    promise: "An append that expects `exists` is accepted only for an aggregate with events.",
    check: ({ store }) => acceptsExactly(store, ["exists"], (_expected, version) => version > 0),
    tooth: { lie: "accepts every expected version", adapter: ignoresExpected },
  },
  {
    id: "append/expected/exact",
    promise: "An append that expects a version is accepted only when that is the version of the last event.",
    check: ({ store }) => acceptsExactly(store, [1, 2, 3, 4], (expected, version) => version === expected),
    tooth: { lie: "accepts every expected version", adapter: ignoresExpected },
  },
  {
    id: "append/expected/refused",
    promise: "An expectation that is neither a keyword nor a version is refused as INVALID_ARGUMENT.",
    check: async ({ store }) => {
      for (const expected of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "latest", null]) {
        const error = await refuses("INVALID_ARGUMENT", store.append(misshapen({ ...deposit("a"), expected })));
        assert.equal(error.details.argument, "expected");
      }
      await assertEmpty(store);
    },
    tooth: {
      lie: "takes an expectation that it does not know for `any`",
      store: (real) => onRequests(real, (request) => ({ ...request, expected: "any" })),
    },
  },
  {
    id: "append/expected/conflict-writes-nothing",
    promise: "A refused append leaves no event, no version and no position behind.",
    check: async ({ store }) => {
      await store.append(deposit("a", 2));
      await leavesTheLog(store, async () => {
        for (const expected of ["none", 1, 3] as const) {
          await refuses("VERSION_CONFLICT", store.append(deposit("a", 3, { expected })));
        }
        await refuses("VERSION_CONFLICT", store.append(deposit("b", 1, { expected: "exists" })));
      });
      assert.equal((await store.append(deposit("a"))).first, 3);
      assert.equal((await store.append(deposit("b"))).first, 1);
    },
    tooth: { lie: "writes the first event of what it refuses", adapter: keepsSomeOfWhatItRefuses },
  },
  {
    id: "append/expected/conflict-tells",
    promise: "The error of a refused append tells the aggregate, the expected version and the actual one.",
    check: async ({ store }) => {
      await store.append(deposit("a", 2));
      const aggregate = { context: "default", type: "account", id: "a" };
      for (const expected of ["none", 1, 7] as const) {
        const error = await refuses("VERSION_CONFLICT", store.append(deposit("a", 1, { expected })));
        assert.deepEqual(error.details, { aggregate, expected, actual: 2 });
      }
    },
    tooth: {
      lie: "tells another actual version",
      adapter: (real) =>
        onOutcomes(real, (said) => (said.kind === "conflict" ? { ...said, actual: said.actual + 1 } : said)),
    },
  },
  {
    id: "append/expected/one-winner",
    promise: "Of many concurrent appends that expect the same version exactly one succeeds.",
    check: async (bench) => {
      const { store, open } = bench;
      const other = await open();
      await store.append(deposit("a"));
      // All of them are on their way before the version that they expect is committed.
      const holder = await hold(bench, "a");
      const rivals = Promise.allSettled(
        range(24).map((n) => (n % 2 === 0 ? store : other).append(deposit("a", 1, { expected: 2 }))),
      );
      await turn();
      await holder.commit();
      const results = await rivals;
      assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
      for (const result of results) {
        if (result.status === "rejected")
          assert.ok(isTidemarkError(result.reason, "VERSION_CONFLICT"), String(result.reason));
      }
      assert.equal((await collect(store.readAggregate(account("a")))).length, 3);
    },
    tooth: { lie: "accepts every expected version", adapter: ignoresExpected },
  },
  {
    id: "append/expected/one-winner/processes",
    promise: "Of appends by several processes that expect the same version exactly one succeeds.",
    when: { shared: true },
    check: async ({ store, spawn }) => {
      const racers = await Promise.all(range(3).map(() => spawn("append/race")));
      for (const racer of racers) await racer.hear("ready");
      for (const racer of racers) racer.say("go");
      const won = (await Promise.all(racers.map((racer) => racer.result()))).flat();
      assert.deepEqual(
        won.map(Number).sort((a, b) => a - b),
        range(RACE_ROUNDS),
      );
      assert.equal((await collect(store.readAggregate(account("race")))).length, RACE_ROUNDS);
    },
    tooth: { lie: "accepts every expected version", adapter: ignoresExpected },
  },
  {
    id: "append/expected/isolated-in-batch",
    promise: "Of appends that share a transaction, one in conflict fails alone and the rest commit.",
    check: async ({ open }) => {
      const batches: Batch[] = [];
      const store = await open({}, (real) => noting(batches, real));
      const appends = range(10).map((n) => {
        const append = store.append(deposit(`a${n}`, 2, { expected: n === 4 ? 1 : 0 }));
        return n === 4 ? refuses("VERSION_CONFLICT", append) : fulfils(append, "the neighbours of a conflict commit");
      });
      await Promise.all(appends);
      assert.ok(
        batches.some((units) => units.length > 1),
        "The appends did not share a transaction.",
      );
      assert.equal((await readLog(store)).events.length, 18);
    },
    tooth: {
      lie: "refuses a whole batch for one conflict",
      adapter: (real) =>
        onAppends(real, (append) => async (units, op) => {
          const outcomes = await append(units, op);
          const conflict = outcomes.find((said) => said.kind === "conflict");
          return conflict === undefined ? outcomes : outcomes.map(() => conflict);
        }),
    },
  },
  {
    id: "append/expected/chain-in-batch",
    promise: "Several appends to one aggregate within one batch chain in call order.",
    check: async ({ store }) => {
      const appends = range(8).map((n) => {
        const events = deposits(2, 2 * n - 1);
        const append = store.append({ aggregate: account("a"), events, expected: n % 2 === 0 ? "any" : 2 * (n - 1) });
        return fulfils(append, "appends to one aggregate chain in call order");
      });
      const results = await Promise.all(appends);
      assert.deepEqual(
        results.map((result) => result.last),
        range(8).map((n) => 2 * n),
      );
      const events = await collect(store.readAggregate(account("a")));
      assert.deepEqual(
        events.map((event) => event.data),
        range(16).map((amount) => ({ amount })),
      );
    },
    tooth: {
      lie: "decides the appends of a batch in reverse order",
      adapter: (real) =>
        onAppends(real, (append) => async (units, op) => (await append(units.toReversed(), op)).toReversed()),
    },
  },
  {
    id: "append/atomic/all-visible-together",
    promise: "A reader never sees part of an append, neither of its events nor of its aggregates.",
    check: async ({ open }) => {
      const reader = await open();
      const pairs = [
        ["a", "b"],
        ["c", "d"],
        ["e", "f"],
      ] as const;
      let writing = true;
      const look = async (): Promise<void> => {
        for (;;) {
          const last = !writing;
          const { events } = await reader.readAll({ limit: LIMITS.eventsPerPage });
          const seen = (id: string): number => events.filter((event) => event.aggregate.id === id).length;
          for (const [a, b] of pairs) {
            assert.equal(seen(a) % 3, 0, `A reader saw ${seen(a)} events of appends of 3.`);
            assert.equal(
              seen(b) * 3,
              seen(a) * 4,
              `A reader saw ${seen(a)} events of one aggregate, ${seen(b)} of the other.`,
            );
          }
          const alone = await collect(reader.readAggregate(account("b")));
          assert.equal(alone.length % 4, 0, `A reader saw ${alone.length} events of appends of 4.`);
          if (last) return;
          await turn();
        }
      };
      // On connections of their own, so that their positions interleave where writers do not wait for each other.
      const write = async ([a, b]: readonly [string, string]): Promise<void> => {
        const writer = await open();
        for (const _ of range(20)) await writer.appendAll([deposit(a, 3), deposit(b, 4)]);
      };
      await Promise.all([look(), Promise.all(pairs.map(write)).finally(() => (writing = false))]);
    },
    tooth: { lie: "commits an append in two steps", adapter: appendsInTwoSteps },
  },
  {
    id: "append/atomic/several-aggregates",
    promise: "`appendAll` appends to several aggregates, all or nothing, and names the one that conflicted.",
    check: async ({ store }) => {
      const results = await store.appendAll([deposit("a", 2), deposit("b"), deposit("c", 3)]);
      assert.deepEqual(
        results.map(({ aggregate, first, last }) => [aggregate.id, first, last]),
        [
          ["a", 1, 2],
          ["b", 1, 1],
          ["c", 1, 3],
        ],
      );
      await leavesTheLog(store, async () => {
        for (const [index, id] of ["a", "b", "c"].entries()) {
          const requests = ["a", "b", "c"].map((each) => deposit(each, 1, { expected: each === id ? 9 : "any" }));
          const error = await refuses("VERSION_CONFLICT", store.appendAll(requests));
          assert.equal(error.details.aggregate.id, id);
          assert.equal(error.details.actual, [2, 1, 3][index]);
        }
      });
    },
    tooth: { lie: "commits the parts of an append one by one", adapter: appendsPartByPart },
  },
  {
    id: "append/atomic/several-aggregates-in-batch",
    promise: "An `appendAll` that shares a transaction with others still commits all or nothing.",
    check: async ({ open }) => {
      const batches: Batch[] = [];
      const store = await open({}, (real) => noting(batches, real));
      const promised = "the neighbours of a conflict commit";
      const [before, refused, after] = await Promise.all([
        fulfils(store.appendAll([deposit("a"), deposit("b")]), promised),
        refuses("VERSION_CONFLICT", store.appendAll([deposit("c"), deposit("b", 1, { expected: 0 }), deposit("d")])),
        fulfils(store.appendAll([deposit("b", 1, { expected: 1 }), deposit("c", 1, { expected: 0 })]), promised),
      ]);
      assert.deepEqual(
        [...before, ...after].map((result) => result.first),
        [1, 1, 2, 1],
      );
      assert.equal(refused.details.aggregate.id, "b");
      assert.ok(
        batches.some((units) => units.length > 1),
        "The appends did not share a transaction.",
      );
      assert.deepEqual(
        (await readLog(store)).events.map((event) => event.aggregate.id),
        ["a", "b", "b", "c"],
      );
    },
    tooth: { lie: "commits the parts of an append one by one", adapter: appendsPartByPart },
  },
  {
    id: "append/atomic/names-the-part",
    promise: "The error of an `appendAll` names the aggregate that was in the way, not another one.",
    check: async ({ store }) => {
      await store.append({ aggregate: account("c"), events: named("x") });
      const conflict = [deposit("a"), deposit("b"), deposit("c", 1, { expected: 5 })];
      assert.equal((await refuses("VERSION_CONFLICT", store.appendAll(conflict))).details.aggregate.id, "c");
      const known = [deposit("a"), deposit("b"), { aggregate: account("c"), events: named("w", "x") }];
      const error = await refuses("KNOWN_EVENT_IDS", store.appendAll(known));
      assert.deepEqual([error.details.aggregate.id, error.details.ids], ["c", ["x"]]);
    },
    tooth: {
      lie: "blames the first aggregate for every refusal",
      adapter: (real) => onOutcomes(real, (said) => ("part" in said ? { ...said, part: 0 } : said)),
    },
  },
  {
    id: "append/atomic/one-part-per-aggregate",
    promise: "An `appendAll` that names an aggregate twice is refused.",
    check: async ({ store }) => {
      const twice = [
        deposit("a"),
        deposit("b"),
        { ...deposit("a"), aggregate: { ...account("a"), context: "default" } },
      ];
      await refuses("INVALID_ARGUMENT", store.appendAll(twice));
      await assertEmpty(store);
    },
    tooth: {
      lie: "appends a request at a time",
      store: (real) =>
        override(real, () => ({
          appendAll: (requests, op) => Promise.all(requests.map((request) => real.append(request, op))),
        })),
    },
  },
  {
    id: "append/idempotent/same-ids",
    promise: "Appending the same event ids with the same content again returns the first result and writes nothing.",
    check: async ({ store, open }) => {
      const request = { aggregate: account("a"), events: named("x", "y") };
      const result = await store.append(request);
      assert.equal(result.repeated, false);
      await store.append(deposit("a"));
      const other = await open();
      await leavesTheLog(store, async () => {
        const promised = "a repeated append succeeds";
        for (const each of [store, other])
          assert.deepEqual(await fulfils(each.append(request), promised), { ...result, repeated: true });
        await store.transaction(async (_tx, inside) => {
          assert.deepEqual(await fulfils(inside.append(request), promised), { ...result, repeated: true });
        });
      });
    },
    tooth: { lie: "does not know event ids again", adapter: renamesIds },
  },
  {
    id: "append/idempotent/run",
    promise: "Any run of consecutive events of an aggregate, appended again in their order, is the same success.",
    check: async ({ store }) => {
      const [first, second] = [await store.append(appendOf("a", "x", "y")), await store.append(appendOf("a", "z"))];
      await leavesTheLog(store, async () => {
        const result = await fulfils(store.append(appendOf("a", "y", "z")), "a run of known events is a repetition");
        assert.deepEqual([result.first, result.last, result.repeated], [2, 3, true]);
        assert.deepEqual(result.positions, [first.positions[1], second.positions[0]]);
      });
    },
    tooth: { lie: "does not know event ids again", adapter: renamesIds },
  },
  {
    id: "append/idempotent/several-aggregates",
    promise: "Repeating an `appendAll` returns the first results and writes nothing.",
    check: async ({ store }) => {
      const requests = [appendOf("a", "x", "y"), appendOf("b", "x")];
      const results = await store.appendAll(requests);
      await leavesTheLog(store, async () => {
        const again = await fulfils(store.appendAll(requests), "a repeated append succeeds");
        assert.deepEqual(
          again,
          results.map((result) => ({ ...result, repeated: true })),
        );
      });
    },
    tooth: { lie: "does not know event ids again", adapter: renamesIds },
  },
  {
    id: "append/idempotent/after-conflict-check",
    promise: "A retry with the old expected version and the same ids is the same success, not a conflict.",
    check: async ({ store }) => {
      await store.append(deposit("a"));
      const request = { ...appendOf("a", "x", "y"), expected: 1 };
      const result = await store.append(request);
      await store.append(deposit("a"));
      const again = await fulfils(store.append(request), "a retry is no conflict");
      assert.deepEqual(again, { ...result, repeated: true });
    },
    tooth: {
      lie: "looks at the expected version before the ids",
      adapter: (real) =>
        onOutcomes(real, (said, unit) =>
          said.kind === "repeated" && unit.parts[0]?.expected !== "any"
            ? { kind: "conflict", part: 0, actual: 4 }
            : said,
        ),
    },
  },
  {
    id: "append/idempotent/any-twice",
    promise: "The same ids appended twice at the same time, expecting `any`, are written once.",
    check: async ({ store, open }) => {
      const other = await open();
      const request = { ...appendOf("a", "x", "y"), expected: "any" } as const;
      const appends = [store, other, store, other].map((each) => each.append(request));
      const results = await Promise.all(
        appends.map((append) => fulfils(append, "the same append twice succeeds twice")),
      );
      assert.equal(results.filter((result) => !result.repeated).length, 1);
      for (const result of results) assert.deepEqual({ ...result, repeated: true }, { ...results[0], repeated: true });
      assert.equal((await readLog(store)).events.length, 2);
    },
    tooth: { lie: "does not know event ids again", adapter: renamesIds },
  },
  {
    id: "append/idempotent/lost-ack",
    promise: "An append whose acknowledgement was lost is tried again by the store itself and written once.",
    check: async ({ open }) => {
      let lost = 0;
      const forgetful = <Tx>(adapter: Adapter<Tx>): Adapter<Tx> =>
        override(adapter, (real) => ({
          appendBatch: async (units, op) => {
            const outcomes = await real.appendBatch(units, op);
            if (++lost === 1)
              throw new TidemarkError("UNAVAILABLE", "The connection broke after the commit.", { adapter: real.name });
            return outcomes;
          },
        }));
      const store = await open({}, forgetful);
      const result = await fulfils(store.append(deposit("a", 2)), "the store retries");
      assert.deepEqual([result.first, result.last], [1, 2]);
      const events = await collect(store.readAggregate(account("a")));
      assert.deepEqual(
        events.map((event) => event.id),
        result.ids,
      );
    },
    tooth: { lie: "does not know event ids again", adapter: renamesIds },
  },
  {
    id: "append/idempotent/partial-overlap",
    promise: "An append of which only some ids are known is refused, and nothing is written.",
    check: async ({ store }) => {
      await store.append(appendOf("a", "x", "y"));
      await leavesTheLog(store, async () => {
        for (const ids of [
          ["x", "new"],
          ["new", "x"],
          ["x", "y", "new"],
          ["new", "x", "y"],
        ]) {
          await refusesKnown(
            store.append(appendOf("a", ...ids)),
            "a",
            ids.filter((id) => id !== "new"),
          );
        }
      });
    },
    tooth: { lie: "leaves known events out", adapter: skipsKnownIds },
  },
  {
    id: "append/idempotent/regrouped",
    promise: "An append of known ids in another order, with gaps, or mixed with new ones over aggregates is refused.",
    check: async ({ store }) => {
      await store.append(appendOf("a", "x", "y"));
      await store.append(appendOf("a", "z"));
      await leavesTheLog(store, async () => {
        await refusesKnown(store.append(appendOf("a", "y", "x")), "a", ["y", "x"]);
        await refusesKnown(store.append(appendOf("a", "x", "z")), "a", ["x", "z"]);
        await refusesKnown(store.appendAll([appendOf("b", "new"), appendOf("a", "x")]), "a", ["x"]);
      });
    },
    tooth: { lie: "leaves known events out", adapter: skipsKnownIds },
  },
  {
    id: "append/idempotent/other-content",
    promise: "Known ids with another type or other data are refused, and nothing is written.",
    check: async ({ store }) => {
      const [event] = named("x");
      await store.append(appendOf("a", "x", "y"));
      await leavesTheLog(store, async () => {
        for (const other of [
          { type: "withdrawn" },
          { data: { amount: 2 } },
          { data: { amount: 1, more: null } },
          { data: null },
        ]) {
          const events = [{ type: "deposited", data: { amount: 1 }, ...event, ...other }];
          await refusesKnown(store.append({ aggregate: account("a"), events }), "a", ["x"]);
        }
      });
    },
    tooth: { lie: "takes all events of one id for the same", adapter: (real) => comparesContentBy(real, () => true) },
  },
  {
    id: "append/idempotent/content",
    promise: "Content is type and data, whatever the order of keys; metadata and time do not count.",
    check: async ({ store }) => {
      const first = { id: "x", type: "moved", data: { from: { x: 1, y: [1, 2] }, to: null } };
      await store.append({ aggregate: account("a"), events: [first] });
      const again = {
        ...first,
        data: { to: null, from: { y: [1, 2], x: 1 } },
        metadata: { createdBy: "me" },
        occurredOn: new Date(0),
      };
      await leavesTheLog(store, async () => {
        const { repeated } = await fulfils(
          store.append({ aggregate: account("a"), events: [again] }),
          "it is the same content",
        );
        assert.equal(repeated, true);
        const reordered = { ...first, data: { from: { x: 1, y: [2, 1] }, to: null } };
        await refuses("KNOWN_EVENT_IDS", store.append({ aggregate: account("a"), events: [reordered] }));
      });
    },
    tooth: {
      lie: "compares content by its text",
      adapter: (real) =>
        comparesContentBy(real, (stored, given) => stored.type === given.type && stored.data === given.data),
    },
  },
  {
    id: "append/idempotent/other-aggregate",
    promise: "The same event id in another aggregate is a new event.",
    check: async ({ store }) => {
      await store.append(appendOf("a", "x"));
      for (const aggregate of [account("b"), { type: "order", id: "a" }, { ...account("a"), context: "abroad" }]) {
        const result = await fulfils(
          store.append({ aggregate, events: named("x") }),
          "ids are unique per aggregate only",
        );
        assert.deepEqual([result.repeated, result.first], [false, 1]);
      }
      const both = [appendOf("c", "x"), appendOf("d", "x")];
      assert.deepEqual(
        (await fulfils(store.appendAll(both), "ids are unique per aggregate only")).map((result) => result.first),
        [1, 1],
      );
    },
    tooth: {
      lie: "keeps event ids unique over all aggregates",
      adapter: (real) => {
        const owners = new Map<string, string>();
        return onOutcomes(real, (said, unit) => {
          for (const [part, { ref, events }] of unit.parts.entries()) {
            const owner = `${ref.context} ${ref.type} ${ref.id}`;
            const foreign = events.filter(({ id }) => (owners.get(id) ?? owner) !== owner).map(({ id }) => id);
            if (foreign.length > 0) return { kind: "known-ids", part, ids: foreign };
            for (const { id } of events) owners.set(id, owner);
          }
          return said;
        });
      },
    },
  },
  {
    id: "append/idempotent/twice-in-one",
    promise: "An append that names an event id twice is refused.",
    check: async ({ store }) => {
      await refuses("INVALID_ARGUMENT", store.append(appendOf("a", "x", "y", "x")));
      await refuses("INVALID_ARGUMENT", store.appendAll([appendOf("b", "x"), appendOf("a", "x", "x")]));
      await assertEmpty(store);
    },
    tooth: {
      lie: "leaves out the second of two events of one id",
      store: (real) =>
        onRequests(real, (request) => {
          const { events } = request;
          return {
            ...request,
            events: events.filter((event, at) => events.findIndex(({ id }) => id === event.id) === at),
          };
        }),
    },
  },
  {
    id: "append/idempotent/in-batch",
    promise: "A repeated append does not disturb those that share its transaction.",
    check: async ({ store }) => {
      const known = await store.append(appendOf("a", "x", "y"));
      const [before, repeated, after, first, second] = await Promise.all(
        [deposit("a"), appendOf("a", "x", "y"), deposit("b"), appendOf("c", "z"), appendOf("c", "z")].map((request) =>
          fulfils(store.append(request), "neighbours of a repeated append succeed"),
        ),
      );
      assert.deepEqual(repeated, { ...known, repeated: true });
      assert.deepEqual([before?.first, before?.repeated], [3, false]);
      assert.deepEqual([after?.first, after?.repeated], [1, false]);
      assert.equal(first?.repeated, false);
      assert.deepEqual(second, { ...first, repeated: true });
      assert.equal((await readLog(store)).events.length, 5);
    },
    tooth: {
      lie: "answers a whole batch with the outcome of a repeated append",
      adapter: (real) =>
        onAppends(real, (append) => async (units, op) => {
          const outcomes = await append(units, op);
          const repeated = outcomes.find((said) => said.kind === "repeated");
          return repeated === undefined ? outcomes : outcomes.map(() => repeated);
        }),
    },
  },
  {
    id: "append/batch/coalesces",
    promise: "Appends that are started in one moment share a few transactions.",
    check: async ({ open }) => {
      const batches: Batch[] = [];
      const store = await open({}, (real) => noting(batches, real));
      const results = await Promise.all(range(64).map((n) => store.append(deposit(`a${n}`))));
      assert.equal(results.length, 64);
      assert.ok(batches.length <= 4, `64 appends of one moment took ${batches.length} transactions.`);
      assert.equal((await readLog(store)).events.length, 64);
    },
    tooth: {
      lie: "appends one after the other",
      adapter: (real) =>
        onAppends(real, (append) => async (units, op) => {
          const outcomes: AppendOutcome[] = [];
          for (const unit of units) outcomes.push(...(await append([unit], op)));
          return outcomes;
        }),
    },
  },
  {
    id: "append/batch/busy-aggregate",
    promise: "While another transaction holds one aggregate, appends to others from the same process go through.",
    when: { concurrentWriters: true },
    check: async (bench) => {
      const { store } = bench;
      const holder = await hold(bench, "busy");
      let waits = true;
      const behind = later(store.append(deposit("busy")).finally(() => (waits = false)));
      const others = range(64).map((n) => store.append(deposit(`a${n}`)));
      await promptly("appends to other aggregates go through", Promise.all(others));
      assert.ok(waits, "An append went past a transaction that holds its aggregate.");
      await holder.commit();
      assert.equal((await promptly("an append goes on when its aggregate is free", behind)).first, 2);
    },
    tooth: {
      lie: "waits with a whole batch for one aggregate",
      adapter: (real) => onAppends(real, (append) => (units, op) => append(units, { ...op, onBusy: "wait" })),
    },
  },
  {
    id: "append/batch/busy-aggregate/one-writer",
    promise:
      "Where there is one writer at a time, appends wait for a transaction that writes, and all go through after it.",
    when: { concurrentWriters: false },
    check: async (bench) => {
      const batches: Batch[] = [];
      const store = await bench.open({}, (real) => noting(batches, real));
      const holder = await hold(bench, "busy");
      let waiting = 64;
      const appends = range(64).map((n) =>
        store.append(deposit(n === 7 ? "busy" : `a${n}`)).finally(() => (waiting -= 1)),
      );
      const all = fulfils(Promise.all(appends), "appends wait for the writer before them");
      await atOnce(all);
      assert.equal(waiting, 64, "An append went past the only writer.");
      await holder.commit();
      await promptly("appends go on after the writer", all);
      assert.ok(batches.length <= 4, `64 appends of one moment took ${batches.length} transactions.`);
      assert.equal((await readLog(store)).events.length, 65);
    },
    tooth: {
      lie: "refuses an append that has to wait",
      adapter: (real) =>
        override(real, () => ({
          appendBatch: async (units, op) => {
            const outcomes = await atOnce(real.appendBatch(units, op), 50);
            if (outcomes === undefined)
              throw new TidemarkError("BUSY", "Somebody writes.", { adapter: real.name, waitedMs: 50 });
            return outcomes;
          },
        })),
    },
  },
  {
    id: "append/batch/busy-order",
    promise: "Appends that wait for an aggregate get through in the order in which they were called.",
    check: async (bench) => {
      const { store } = bench;
      const holder = await hold(bench, "busy");
      const waiting = Promise.all(
        range(6).map((n) => store.append({ aggregate: account("busy"), events: deposits(2, 10 * n) })),
      );
      await atOnce(waiting);
      await holder.commit();
      const results = await promptly("appends go on when their aggregate is free", waiting);
      assert.deepEqual(
        results.map((result) => result.first),
        [2, 4, 6, 8, 10, 12],
      );
    },
    tooth: { lie: "hands the appends of one moment on in reverse", store: appendsInReverse },
  },
  {
    id: "append/batch/caller-holds",
    promise:
      "Code inside a transaction with an append can append outside of it, or is told at once that it would wait for itself.",
    check: async ({ store }) => {
      await store.transaction(async (_tx, inside) => {
        await inside.append(deposit("held"));
        for (const id of ["other", "held"]) {
          const said = await promptly(
            "an append that would wait for its own caller is refused",
            outcome(store.append(deposit(id))),
          );
          const refused = isTidemarkError(said, "WOULD_DEADLOCK");
          assert.ok(refused || id === "other", "An append outside went past the transaction that holds its aggregate.");
        }
      });
      assert.equal(
        (await fulfils(store.append(deposit("held")), "after the transaction an append goes through")).first,
        2,
      );
    },
    tooth: { lie: "does not notice that it is called inside a transaction", store: appendsAsIfFromOutside },
  },
  {
    id: "append/batch/caller-holds/own-transaction",
    promise:
      "Code that appended in its own transaction can append outside of it, or is told at once that it would wait for itself.",
    check: async ({ store, database }) => {
      const raw = await database.begin();
      await elsewhere(async () => {
        await store.within(raw.tx).append(deposit("held"));
        const said = await promptly(
          "an append beside one's own transaction does not hang",
          outcome(store.append(deposit("other"))),
          40_000,
        );
        assert.ok(!(said instanceof Error) || isTidemarkError(said, "WOULD_DEADLOCK"), String(said));
      });
      await raw.commit();
      assert.equal((await store.append(deposit("held"))).first, 2);
    },
    tooth: { lie: "holds appends up once a caller's transaction has appended", store: waitsForCallers },
  },
  {
    id: "append/batch/bystanders",
    promise:
      "Only code inside a transaction is told that it would wait for itself; others wait, from the first call on.",
    when: { shared: true },
    check: async ({ spawn }) => {
      // In a process of its own, because contexts may be followed from the first transaction of a process on only.
      const child = await spawn("append/bystander");
      assert.equal(await child.result(), "version 2");
    },
    tooth: {
      lie: "takes everyone for someone inside a caller's transaction",
      store: (real) => {
        let open = false;
        const refusal = new TidemarkError("WOULD_DEADLOCK", "A transaction is open.", { call: "append" });
        return override(real, () => ({
          within: (tx) => {
            open = true;
            return real.within(tx);
          },
          append: (request, op) => (open ? Promise.reject(refusal) : real.append(request, op)),
        }));
      },
    },
  },
  {
    id: "append/batch/bytes",
    promise: "Many large events in one moment are split over transactions, and no neighbour fails for another's size.",
    check: async ({ open }) => {
      const maxBytes = 64 * 1024;
      const batches: Batch[] = [];
      const store = await open({ groupCommit: { maxBytes } }, (real) => noting(batches, real));
      const sizes = range(40).map((n) => (n === 20 ? 100 : 20) * 1024);
      const requests = sizes.map((size, n) => ({
        aggregate: account(`a${n}`),
        events: [{ type: "grown", data: "x".repeat(size) }],
      }));
      await Promise.all(requests.map((request) => fulfils(store.append(request), "size is no reason to fail")));
      for (const units of batches)
        assert.ok(units.length === 1 || weight(units) <= maxBytes, `A transaction of ${weight(units)} bytes.`);
      for (const [n, request] of requests.entries()) {
        const [event] = await collect(store.readAggregate(account(`a${n}`)));
        assert.ok(event?.data === request.events[0]?.data, `The event of ${sizes[n]} bytes is not what was appended.`);
      }
    },
    tooth: {
      lie: "writes the first 64 KiB of a transaction's data only",
      adapter: (real) =>
        onAppends(real, (append) => (units, op) => {
          let left = 64 * 1024;
          const fitting = (data: string): string => ((left -= data.length) >= 0 ? data : "null");
          const parts = ({ parts }: AppendUnit) =>
            parts.map((part) => ({
              ...part,
              events: part.events.map((event) => ({ ...event, data: fitting(event.data) })),
            }));
          return append(
            units.map((unit) => ({ ...unit, parts: parts(unit) })),
            op,
          );
        }),
    },
  },
  {
    id: "append/batch/one-refused-by-the-database",
    promise: "When the database itself refuses one append, those that shared its transaction succeed.",
    check: async ({ open }) => {
      const refusal = new RangeError("The database does not take this.");
      const picky = <Tx>(adapter: Adapter<Tx>): Adapter<Tx> =>
        override(adapter, (real) => ({
          appendBatch: async (units, op) => {
            if (units.some((unit) => unit.parts.some((part) => part.ref.id === "a5"))) throw refusal;
            return real.appendBatch(units, op);
          },
        }));
      const store = await open({}, picky);
      const appends = range(9).map((n) => {
        const append = store.append(deposit(`a${n}`));
        return n === 5 ? outcome(append) : fulfils(append, "neighbours of a refused append succeed");
      });
      assert.equal((await Promise.all(appends))[4], refusal);
      const ids = (await readLog(store)).events.map((event) => event.aggregate.id);
      assert.deepEqual(
        ids.toSorted(),
        range(9)
          .map((n) => `a${n}`)
          .filter((id) => id !== "a5"),
      );
    },
    tooth: { lie: "writes the first append of a transaction only", adapter: writesOnlyTheFirstOfABatch },
  },
  {
    id: "append/batch/overloaded",
    promise: "When too many appends wait in one process, the next one is refused at once with OVERLOADED.",
    check: async ({ open }) => {
      const store = await open({ groupCommit: { maxQueued: 8 } });
      const queued = range(8).map((n) => fulfils(store.append(deposit(`a${n}`)), "what was queued is appended"));
      const refused = range(4).map((n) =>
        promptly("it is refused at once", refuses("OVERLOADED", store.append(deposit(`b${n}`)))),
      );
      const [refusals] = await Promise.all([Promise.all(refused), Promise.all(queued)]);
      for (const { details } of refusals) assert.deepEqual(details, { queued: 8, allowed: 8 });
      assert.equal((await readLog(store)).events.length, 8);
      await fulfils(store.append(deposit("later")), "it is over when the queue is");
    },
    tooth: {
      lie: "queues without bound",
      store: (real) =>
        override(real, () => ({
          append: async (request, op) => {
            for (;;) {
              const appending = real.append(request, op);
              if (!isTidemarkError(await outcome(appending), "OVERLOADED")) return appending;
              await turn(1);
            }
          },
        })),
    },
  },
  {
    id: "append/order/within-append",
    promise: "Events of one append keep their order, in version and in position.",
    check: async ({ store }) => {
      const result = await store.append({ aggregate: account("a"), events: deposits(300) });
      assertAscending(result.positions);
      const { events } = await readLog(store);
      assert.deepEqual(
        events.map((event) => event.version),
        range(300),
      );
      assert.deepEqual(
        events.map((event) => event.data),
        range(300).map((amount) => ({ amount })),
      );
    },
    tooth: {
      lie: "writes the events of an append in reverse",
      adapter: (real) => onParts(real, (part) => ({ ...part, events: part.events.toReversed() })),
    },
  },
  {
    id: "append/result",
    promise: "The result gives the first and last version and the position and id of each event.",
    check: async ({ store }) => {
      await store.append(deposit("a", 2));
      const [a, b] = await store.appendAll([deposit("a", 3), { aggregate: account("b"), events: named("x", "y") }]);
      await describesWhatIsThere(store, a, 3, 5);
      await describesWhatIsThere(store, b, 1, 2);
      assert.deepEqual(b?.ids, ["x", "y"]);
    },
    tooth: {
      lie: "reports the positions of an append in reverse",
      adapter: (real) =>
        onOutcomes(real, (said) => {
          if (!("parts" in said)) return said;
          return { ...said, parts: said.parts.map((part) => ({ ...part, positions: part.positions.toReversed() })) };
        }),
    },
  },
  {
    id: "append/ids/minted",
    promise: "An event without an id gets one that sorts after those that the same process minted before.",
    check: async ({ store, open }) => {
      const other = await open();
      const minted: string[] = [];
      for (const each of [store, store, store]) minted.push(...(await each.append(deposit("a", 50))).ids);
      assert.deepEqual(minted, minted.toSorted());
      const events = await collect(store.readAggregate(account("a")));
      assert.deepEqual(
        events.map((event) => event.id),
        minted,
      );
      const foreign = (await other.append(deposit("b", 50))).ids;
      assert.equal(new Set([...minted, ...foreign]).size, 200);
    },
    tooth: { lie: "stores events under ids of its own", adapter: renamesIds },
  },
  {
    id: "append/empty",
    promise: "An append of no events, or to no aggregate, is refused.",
    check: async ({ store }) => {
      await refuses("INVALID_ARGUMENT", store.append({ aggregate: account("a"), events: [] }));
      await refuses("INVALID_ARGUMENT", store.appendAll([]));
      await refuses("INVALID_ARGUMENT", store.appendAll([deposit("a"), { aggregate: account("b"), events: [] }]));
      await assertEmpty(store);
    },
    tooth: {
      lie: "takes no events for a success",
      store: (real) =>
        override(real, () => ({
          append: async (request, op) => {
            if (request.events.length > 0) return real.append(request, op);
            const aggregate = { context: "default", type: "account", id: "a" };
            return { aggregate, first: 1, last: 0, positions: [], ids: [], repeated: false };
          },
        })),
    },
  },
  {
    id: "append/shape",
    promise:
      "What is no append, no aggregate or no event is refused as INVALID_ARGUMENT, naming what is wrong with it.",
    check: async ({ store }) => {
      const [event] = deposits(1);
      const wrong: readonly (readonly [string, unknown])[] = [
        ["aggregate.id", { ...deposit("a"), aggregate: { type: "account", id: "" } }],
        ["aggregate.id", { ...deposit("a"), aggregate: { type: "account", id: 7 } }],
        ["aggregate.type", { ...deposit("a"), aggregate: { id: "a" } }],
        ["aggregate.context", { ...deposit("a"), aggregate: { ...account("a"), context: "" } }],
        ["aggregate", { events: [event] }],
        ["events", { aggregate: account("a") }],
        ["events", { aggregate: account("a"), events: [null] }],
        ["event.type", { aggregate: account("a"), events: [{ ...event, type: "" }] }],
        ["event.id", { aggregate: account("a"), events: [event, { ...event, id: "" }] }],
        ["event.metadata", { aggregate: account("a"), events: [{ ...event, metadata: ["list"] }] }],
        ["event.occurredOn", { aggregate: account("a"), events: [{ ...event, occurredOn: new Date(Number.NaN) }] }],
      ];
      for (const [argument, request] of wrong) {
        const { details } = await refuses("INVALID_ARGUMENT", store.append(misshapen(request)));
        assert.equal(details.argument, argument);
      }
      await assertEmpty(store);
    },
    tooth: {
      lie: "makes up an id where none is given",
      store: (real) =>
        onRequests(real, (request) => ({
          ...request,
          aggregate: { ...request.aggregate, id: request.aggregate.id || "none" },
        })),
    },
  },
  {
    id: "append/limits/max-batch",
    promise: "An append of more events, aggregates or bytes than allowed is refused, with the limit named.",
    check: async ({ store }) => {
      const { eventsPerAppend, aggregatesPerAppend, eventBytes, appendBytes } = LIMITS;
      const large = (size: number): EventInput => ({ type: "grown", data: "x".repeat(size) });
      const manyLarge = Array.from({ length: Math.ceil(appendBytes / eventBytes) + 1 }, () => large(eventBytes - 100));
      await exceeds("eventsPerAppend", eventsPerAppend + 1, store.append(deposit("a", eventsPerAppend + 1)));
      await exceeds(
        "aggregatesPerAppend",
        aggregatesPerAppend + 1,
        store.appendAll(range(aggregatesPerAppend + 1).map((n) => deposit(`a${n}`))),
      );
      await exceeds(
        "eventBytes",
        eventBytes + 5,
        store.append({ aggregate: account("a"), events: [large(eventBytes + 1)] }),
      );
      await exceeds("appendBytes", undefined, store.append({ aggregate: account("a"), events: manyLarge }));
      await assertEmpty(store);
    },
    tooth: {
      lie: "writes as much of an append as is allowed",
      store: (real) =>
        onRequests(real, (request) => ({ ...request, events: request.events.slice(0, LIMITS.eventsPerAppend) })),
    },
  },
  {
    id: "append/limits/largest",
    promise: "An append of as many events, and one to as many aggregates, as is allowed goes through as a whole.",
    check: async ({ store }) => {
      const { eventsPerAppend, aggregatesPerAppend } = LIMITS;
      const result = await fulfils(store.append(deposit("a", eventsPerAppend)), "it is allowed");
      assert.equal(result.positions.length, eventsPerAppend);
      assertAscending(result.positions);
      const [last] = await collect(store.readAggregate(account("a"), { direction: "backward", limit: 1 }));
      assert.deepEqual([last?.version, last?.data], [eventsPerAppend, { amount: eventsPerAppend }]);
      const results = await fulfils(
        store.appendAll(range(aggregatesPerAppend).map((n) => deposit(`b${n}`))),
        "it is allowed",
      );
      assert.equal(results.length, aggregatesPerAppend);
      assert.equal(await store.head(), results.at(-1)?.positions[0]);
    },
    tooth: {
      lie: "writes 5 000 events of an append at most",
      adapter: (real) => onParts(real, (part) => ({ ...part, events: part.events.slice(0, 5_000) })),
    },
  },
  {
    id: "append/limits/id-length",
    promise: "Ids and contexts that are longer than allowed, in bytes of UTF-8, are refused, with the limit named.",
    check: async ({ store }) => {
      const [event] = deposits(1);
      for (const letter of ["x", "é", "🙂"]) {
        await tooLong("aggregateIdBytes", letter, (id) => store.append(deposit(id)));
        await tooLong("contextBytes", letter, (context) =>
          store.append({ ...deposit("a"), aggregate: { ...account("a"), context } }),
        );
        await tooLong("eventIdBytes", letter, (id) =>
          store.append({ ...deposit("a"), events: [{ ...event, type: "t", data: 1, id }] }),
        );
      }
      await assertEmpty(store);
    },
    tooth: {
      lie: "cuts an id that is too long",
      store: (real) =>
        onRequests(real, (request) => ({
          ...request,
          aggregate: { ...request.aggregate, id: request.aggregate.id.slice(0, 100) },
        })),
    },
  },
  {
    id: "append/limits/type-length",
    promise: "Types that are longer than allowed, in bytes of UTF-8, are refused, with the limit named.",
    check: async ({ store }) => {
      for (const letter of ["x", "é", "🙂"]) {
        await tooLong("aggregateTypeBytes", letter, (type) =>
          store.append({ ...deposit("a"), aggregate: { type, id: "a" } }),
        );
        await tooLong("eventTypeBytes", letter, (type) =>
          store.append({ ...deposit("a"), events: [{ type, data: 1 }] }),
        );
      }
      await assertEmpty(store);
    },
    tooth: {
      lie: "cuts a type that is too long",
      store: (real) =>
        onRequests(real, (request) => ({
          ...request,
          aggregate: { ...request.aggregate, type: request.aggregate.type.slice(0, 20) },
        })),
    },
  },
  {
    id: "append/limits/before-the-database",
    promise: "What is too large or malformed is refused before it reaches the database.",
    check: async (bench) => {
      const { store } = bench;
      // Nothing that needs the database to append to this aggregate can end while it is held.
      const holder = await hold(bench, "busy");
      const long = "x".repeat(LIMITS.eventTypeBytes + 1);
      const refusal = refuses(
        "LIMIT_EXCEEDED",
        store.append({ aggregate: account("busy"), events: [{ type: long, data: 1 }] }),
      );
      await promptly("it is refused without asking the database", refusal);
      await holder.rollback();
    },
    tooth: {
      lie: "asks the database first",
      store: (real) =>
        override(real, () => ({
          append: async (request, op) => {
            await real.append({ ...request, events: deposits(1) }, op);
            return real.append(request, op);
          },
        })),
    },
  },
  {
    id: "append/transaction/caller-commits",
    promise: "An append within the caller's own transaction is there when the caller commits.",
    check: async ({ store, database }) => {
      const raw = await database.begin();
      const result = await elsewhere(async () => {
        const [inside] = await store.within(raw.tx).appendAll([deposit("a", 2), deposit("b")]);
        await database.effects.write(raw.tx, "key", "written");
        return inside;
      });
      await raw.commit();
      await describesWhatIsThere(store, result, 1, 2);
      assert.equal((await readLog(store)).events.length, 3);
      assert.equal(await database.effects.read("key"), "written");
    },
    tooth: {
      lie: "only says that it has appended in a caller's transaction",
      adapter: (real) => onAppendsInside(real, () => async (units) => units.map(pretended)),
    },
  },
  {
    id: "append/transaction/caller-rolls-back",
    promise: "An append within the caller's own transaction vanishes when the caller rolls back.",
    check: async ({ store, database }) => {
      await store.append(deposit("a"));
      await leavesTheLog(store, async () => {
        const raw = await database.begin();
        await elsewhere(() => store.within(raw.tx).appendAll([deposit("a", 2), deposit("b")]));
        await raw.rollback();
      });
      assert.equal((await store.append(deposit("a"))).first, 2);
    },
    tooth: { lie: "appends what a transaction took back", store: remembersWhatWasRolledBack },
  },
  {
    id: "append/transaction/work-resolves",
    promise:
      "What was written in a transaction of the store, by it and by the application, is there when its work resolves.",
    check: async ({ store, database }) => {
      const result = await store.transaction(async (tx, inside) => {
        await database.effects.write(tx, "key", "written");
        return inside.append(deposit("a", 2));
      });
      await describesWhatIsThere(store, result, 1, 2);
      assert.equal(await database.effects.read("key"), "written");
    },
    tooth: {
      lie: "only says that it has appended in a transaction",
      adapter: (real) => onAppendsInside(real, () => async (units) => units.map(pretended)),
    },
  },
  {
    id: "append/transaction/work-rejects",
    promise: "When the work of a transaction rejects, its error is handed on and nothing that was written remains.",
    check: async ({ store, database }) => {
      const reason = new RangeError("not today");
      await leavesTheLog(store, async () => {
        const transaction = store.transaction(async (tx, inside) => {
          await database.effects.write(tx, "key", "written");
          await inside.append(deposit("a", 2));
          throw reason;
        });
        assert.equal(await outcome(transaction), reason);
      });
      assert.equal(await database.effects.read("key"), undefined);
      assert.equal((await store.append(deposit("a"))).first, 1);
    },
    tooth: { lie: "appends what a transaction took back", store: remembersWhatWasRolledBack },
  },
  {
    id: "append/transaction/sees-own-writes",
    promise: "Inside a transaction its new events can be read, in both directions.",
    check: async ({ store }) => {
      await store.append(deposit("a", 2));
      await store.transaction(async (_tx, inside) => {
        await inside.append({ aggregate: account("a"), events: deposits(2, 3) });
        const read = async (direction: "forward" | "backward"): Promise<unknown> =>
          (await collect(inside.readAggregate(account("a"), { direction }))).map((event) => [
            event.version,
            event.data,
          ]);
        const expected = range(4).map((n) => [n, { amount: n }]);
        assert.deepEqual(await read("forward"), expected);
        assert.deepEqual(await read("backward"), expected.toReversed());
      });
    },
    tooth: {
      lie: "shows a transaction what was there before it",
      adapter: (real) =>
        override(real, () => ({
          within: (tx) =>
            override(real.within(tx), (port) => ({
              readAggregate: async (query, op) =>
                (await port.readAggregate(query, op)).filter((row) => row.version < 3),
            })),
        })),
    },
  },
  {
    id: "append/transaction/not-seen-outside",
    promise: "What a transaction has appended is seen by nobody else before it commits.",
    check: async (bench) => {
      const { store } = bench;
      await store.append(deposit("a"));
      const holder = await hold(bench, "a");
      const looks = [collect(store.readAggregate(account("a"))), store.readAll().then((page) => page.events)].map(
        later,
      );
      // On one connection for all, readers wait until the transaction is over. Elsewhere they must not see it.
      for (const look of looks)
        assert.ok([undefined, 1].includes((await atOnce(look))?.length), "A reader saw what is not committed.");
      await holder.commit();
      assert.equal((await collect(store.readAggregate(account("a")))).length, 2);
      await Promise.all(looks);
    },
    tooth: { lie: "shows events before their transaction commits", adapter: showsTheUncommitted },
  },
  {
    id: "append/transaction/several-appends",
    promise: "Several appends in one transaction keep versions and order right.",
    check: async ({ store }) => {
      await store.append(deposit("a"));
      const results = await store.transaction(async (_tx, inside) => [
        await inside.append(deposit("a", 2, { expected: 1 })),
        await inside.append(deposit("b", 1, { expected: "none" })),
        ...(await inside.appendAll([deposit("a", 1, { expected: 3 }), deposit("b", 2, { expected: "exists" })])),
      ]);
      assert.deepEqual(
        results.map(({ first, last }) => [first, last]),
        [
          [2, 3],
          [1, 1],
          [4, 4],
          [2, 3],
        ],
      );
      assertAscending(results.flatMap((result) => result.positions));
      const { events } = await readLog(store);
      assert.deepEqual(
        events.map(({ aggregate, version }) => `${aggregate.id}${version}`),
        ["a1", "a2", "a3", "b1", "a4", "b2", "b3"],
      );
    },
    tooth: {
      lie: "counts the versions of each append in a transaction from 1",
      adapter: (real) =>
        onAppendsInside(
          real,
          sayingOf((said, unit) => {
            const fresh = pretended(unit);
            return "parts" in said && "parts" in fresh
              ? {
                  ...said,
                  parts: said.parts.map((part, index) => ({ ...part, first: fresh.parts[index]?.first ?? 1 })),
                }
              : said;
          }),
        ),
    },
  },
  {
    id: "append/transaction/after-conflict",
    promise: "After a refused append a transaction is usable and holds nothing of it.",
    check: async ({ store, database }) => {
      await store.append(appendOf("a", "x"));
      const goThroughRefusals = async (inside: StoreInTransaction): Promise<void> => {
        const { last } = await inside.append(deposit("b"));
        await refuses("VERSION_CONFLICT", inside.append(deposit("a", 2, { expected: 7 })));
        await refuses("VERSION_CONFLICT", inside.appendAll([deposit("c"), deposit("b", 1, { expected: 0 })]));
        await refuses("KNOWN_EVENT_IDS", inside.append(appendOf("a", "x", "y")));
        await refuses("INVALID_EVENT", inside.append({ aggregate: account("a"), events: [{ type: "t", data: 1n }] }));
        await fulfils(inside.append(deposit("b", 1, { expected: last })), "the transaction is usable");
      };
      await store.transaction((_tx, inside) => goThroughRefusals(inside));
      const raw = await database.begin();
      await elsewhere(() => goThroughRefusals(store.within(raw.tx)));
      await raw.commit();
      const { events } = await readLog(store);
      const expected = ["a1", "b1", "b2", "b3", "b4"];
      assert.deepEqual(
        events.map(({ aggregate, version }) => `${aggregate.id}${version}`),
        expected,
      );
    },
    tooth: { lie: "writes the first event of what it refuses", adapter: keepsSomeOfWhatItRefuses },
  },
  {
    id: "append/transaction/failure-swallowed",
    promise:
      "An append that fails in a transaction leaves nothing behind, also when the failure is swallowed and the transaction commits.",
    check: async ({ open, database }) => {
      // Half-way, with all aggregates locked: stored content cannot be compared.
      const failing = <Tx>(adapter: Adapter<Tx>): Adapter<Tx> =>
        onAppendsInside(adapter, (append) => (units, op) => {
          const sameContent = (): never => {
            throw new RangeError("This is no content.");
          };
          return append(units, { ...op, sameContent });
        });
      const store = await open({}, failing);
      await store.append(appendOf("a", "x"));
      const swallow = async (inside: StoreInTransaction): Promise<void> => {
        const thrown = await outcome(inside.appendAll([appendOf("a", "x"), deposit("new")]));
        assert.ok(thrown instanceof Error, "An append fails whose content cannot be compared.");
      };
      // Databases may refuse to commit then.
      await outcome(store.transaction((_tx, inside) => swallow(inside)));
      const raw = await database.begin();
      await elsewhere(() => swallow(store.within(raw.tx)));
      await outcome(raw.commit());

      const appends = [deposit("a", 1, { expected: 1 }), deposit("new", 1, { expected: "none" }), deposit("neighbour")];
      await promptly(
        "all are appended to",
        Promise.all(appends.map((append) => fulfils(store.append(append), "it is as if nothing had been tried"))),
      );
      const { events } = await readLog(store);
      assert.deepEqual(events.map(({ aggregate, version }) => `${aggregate.id}${version}`).toSorted(), [
        "a1",
        "a2",
        "neighbour1",
        "new1",
      ]);
    },
    tooth: { lie: "writes the first event of what fails", adapter: keepsSomeOfWhatFails },
  },
  {
    id: "append/transaction/no-global-calls",
    promise: "What must not run inside a transaction is not offered there.",
    check: async ({ store, database }) => {
      await store.transaction(async (_tx, inside) => assertNothingGlobal(inside));
      const raw = await database.begin();
      assertNothingGlobal(store.within(raw.tx));
      await raw.rollback();
    },
    tooth: {
      lie: "offers the head of the log inside a transaction",
      store: (real) =>
        override(real, () => ({
          transaction: (work, options) =>
            real.transaction((tx, inside) => work(tx, Object.assign({ head: () => real.head() }, inside)), options),
        })),
    },
  },
  {
    id: "append/transaction/over",
    promise: "Once a transaction is over, the store that it was lent refuses every call with TRANSACTION_ENDED.",
    check: async ({ store }) => {
      const committed = await store.transaction(async (_tx, inside) => inside);
      let rolledBack = committed;
      await outcome(
        store.transaction(async (_tx, inside) => {
          rolledBack = inside;
          throw new RangeError("not today");
        }),
      );
      for (const late of [committed, rolledBack]) {
        await refuses("TRANSACTION_ENDED", late.append(deposit("a")));
        await refuses("TRANSACTION_ENDED", late.appendAll([deposit("a")]));
        await refuses("TRANSACTION_ENDED", (async () => collect(late.readAggregate(account("a"))))());
      }
      await assertEmpty(store);
    },
    tooth: {
      lie: "appends on its own when the transaction is over",
      store: (real) =>
        override(real, () => ({
          transaction: async (work, options) => {
            let over = false;
            const lend = (inside: Parameters<typeof work>[1]) =>
              override(inside, () => ({ append: (request, op) => (over ? real : inside).append(request, op) }));
            try {
              return await real.transaction((tx, inside) => work(tx, lend(inside)), options);
            } finally {
              over = true;
            }
          },
        })),
    },
  },
  {
    id: "append/transaction/retry",
    promise: "A transaction is run again after a transient failure where the caller asks for it, and only there.",
    check: async ({ store }) => {
      let runs = 0;
      const work: Parameters<typeof store.transaction>[0] = async (_tx, inside) => {
        await inside.append(deposit("a"));
        if (++runs === 1) throw new TransientError("Try again.");
      };
      await refuses("TRANSIENT", store.transaction(work));
      assert.equal(runs, 1);
      await assertEmpty(store);
      runs = 0;
      await fulfils(store.transaction(work, { retry: "transient" }), "it is tried again");
      assert.deepEqual([runs, (await readLog(store)).events.length], [2, 1]);
    },
    tooth: {
      lie: "never runs a transaction again",
      store: (real) =>
        override(real, () => ({
          transaction: (work, options) => real.transaction(work, { ...options, retry: "never" }),
        })),
    },
  },
  {
    id: "append/transaction/timeout",
    promise: "A transaction that is open for too long is rolled back, whatever its work is still doing.",
    check: async ({ open }) => {
      const store = await open({ maxTransactionMs: 50 });
      const end = gate();
      const transaction = store.transaction(async (_tx, inside) => {
        await inside.append(deposit("a"));
        await end.passed;
      });
      const refusal = refuses("TRANSACTION_TIMEOUT", transaction);
      const { details } = await promptly("it is rolled back", refusal).finally(() => end.open());
      assert.equal(details.allowedMs, 50);
      assert.equal((await promptly("its aggregate is free", store.append(deposit("a")))).first, 1);
    },
    tooth: { lie: "lets a transaction stay open", adapter: ignoresTheSignalOfTransactions },
  },
  {
    id: "append/abort/before",
    promise: "An append, or a transaction, whose signal has fired already writes nothing.",
    check: async ({ store }) => {
      const signal = AbortSignal.abort();
      await refuses("ABORTED", store.append(deposit("a"), { signal }));
      await refuses("ABORTED", store.appendAll([deposit("a"), deposit("b")], { signal }));
      await refuses(
        "ABORTED",
        store.transaction(async (_tx, inside) => inside.append(deposit("a")), { signal }),
      );
      assert.equal((await store.append(deposit("a"))).first, 1);
      assert.equal((await readLog(store)).events.length, 1);
    },
    tooth: {
      lie: "does not look at the signal of an append",
      store: (real) => override(real, () => ({ append: (request) => real.append(request) })),
    },
  },
  {
    id: "append/abort/during",
    promise: "An append aborted on its way happened entirely or not at all, and a retry with the same ids tells which.",
    check: async (bench) => {
      const { store } = bench;
      const holder = await hold(bench, "a");
      const requests = range(3).map((n) => appendOf("a", `x${n}`, `y${n}`, `z${n}`));
      const aborters = requests.map(() => new AbortController());
      const appends = requests.map((request, n) => later(store.append(request, { signal: aborters[n]?.signal })));
      // One while it is queued, one while it is under way, one while it is about to be written.
      aborters[0]?.abort();
      await turn(10);
      aborters[1]?.abort();
      for (const [n, append] of appends.slice(0, 2).entries()) {
        const { details } = await promptly("an aborted append ends at once", refuses("ABORTED", append));
        assert.deepEqual(
          details.eventIds,
          requests[n]?.events.map((event) => event.id),
        );
      }
      await holder.commit();
      aborters[2]?.abort();
      await outcome(appends[2] ?? Promise.resolve());
      for (const request of requests) {
        const result = await fulfils(store.append(request), "an aborted append happened entirely or not at all");
        assert.equal(result.last, result.first + 2);
      }
      const ids = (await collect(store.readAggregate(account("a")))).map((event) => event.id).slice(1);
      assert.equal(ids.length, 9);
      assert.deepEqual(new Set(ids), new Set(requests.flatMap((request) => request.events.map((event) => event.id))));
    },
    tooth: {
      lie: "writes the first event of what is aborted",
      store: (real) =>
        override(real, () => ({
          append: (request, op) => {
            const { events } = request;
            if (op?.signal === undefined) return real.append(request);
            void real.append({ ...request, events: events.slice(0, 1) }).catch(() => undefined);
            return real.append({ ...request, events: events.slice(1) }, op);
          },
        })),
    },
  },
  {
    id: "append/abort/transaction",
    promise: "A transaction aborted on its way is rolled back at once, whatever its work is still doing.",
    check: async ({ store }) => {
      const [appended, end] = [gate(), gate()];
      const aborter = new AbortController();
      const transaction = store.transaction(
        async (_tx, inside) => {
          await inside.append(deposit("a"));
          appended.open();
          await end.passed;
        },
        { signal: aborter.signal },
      );
      await Promise.race([appended.passed, transaction]);
      aborter.abort();
      await promptly("an aborted transaction ends at once", refuses("ABORTED", transaction)).finally(() => end.open());
      assert.equal((await promptly("its aggregate is free", store.append(deposit("a")))).first, 1);
    },
    tooth: { lie: "lets a transaction stay open", adapter: ignoresTheSignalOfTransactions },
  },
  {
    id: "append/immutable",
    promise: "No call of the store changes or removes an event.",
    check: async ({ store, open, database }) => {
      await store.appendAll([appendOf("a", "x", "y"), appendOf("b", "z")]);
      await store.consumers.declare("reader", { kind: "projector" });
      await leavesTheLog(store, async () => {
        for (const more of [{}, { occurredOn: new Date(0) }, { data: "other" }, { metadata: { createdBy: "me" } }]) {
          await outcome(
            store.append({
              aggregate: account("b"),
              events: [{ id: "z", type: "deposited", data: { amount: 1 }, ...more }],
            }),
          );
        }
        await outcome(store.append(deposit("a", 1, { expected: 1 })));
        await outcome(
          store.transaction(async (_tx, inside) => {
            await inside.append(deposit("a"));
            throw new RangeError("not today");
          }),
        );
        const raw = await database.begin();
        await elsewhere(() => store.within(raw.tx).append(deposit("b")));
        await raw.kill();
        await store.consumers.reset("reader", "beginning");
        await store.consumers.delete("reader");
        await (await open()).close();
      });
      for (const name of memberNames(store))
        assert.doesNotMatch(name, /delete|remove|update|replace|truncate|edit|purge|clear/i);
    },
    tooth: { lie: "lets a repeated append replace metadata", adapter: replacesMetadata },
  },
];

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index + 1);
}

/** Events with these ids, all with the same content. */
function named(...ids: readonly string[]): EventInput[] {
  return ids.map((id) => ({ id, type: "deposited", data: { amount: 1 } }));
}

function appendOf(id: string, ...eventIds: readonly string[]): AppendRequest {
  return { aggregate: account(id), events: named(...eventIds) };
}

/** What callers without a compiler may pass. */
function misshapen(request: unknown): AppendRequest {
  return request as AppendRequest;
}

/** Tries each expectation on aggregates at versions 0, 1 and 3. */
async function acceptsExactly(
  store: Store<unknown>,
  expectations: readonly Expected[],
  accepts: (expected: Expected, version: number) => boolean,
): Promise<void> {
  for (const expected of expectations) {
    for (const version of [0, 1, 3]) {
      const id = `${expected} at ${version}`;
      if (version > 0) await store.append(deposit(id, version));
      const append = store.append(deposit(id, 2, { expected }));
      if (accepts(expected, version))
        assert.equal((await fulfils(append, `${expected} accepts version ${version}`)).first, version + 1);
      else await refuses("VERSION_CONFLICT", append);
    }
  }
}

/** A transaction that someone else holds open, with one append to account `id`. */
async function hold<Tx>({ store, database }: Bench<Tx>, id: string): Promise<RawTransaction<Tx>> {
  const raw = await database.begin();
  await elsewhere(() => store.within(raw.tx).append(deposit(id)));
  return raw;
}

/** The appends of one transaction. */
type Batch = readonly AppendUnit[];

/** Notes what each transaction appends, once it has committed. */
function noting<Tx>(batches: Batch[], adapter: Adapter<Tx>): Adapter<Tx> {
  return override(adapter, (real) => ({
    appendBatch: async (units, op) => {
      const outcomes = await real.appendBatch(units, op);
      batches.push(units);
      return outcomes;
    },
  }));
}

function weight(units: readonly AppendUnit[]): number {
  const events = units.flatMap((unit) => unit.parts.flatMap((part) => part.events));
  return events.reduce((sum, event) => sum + event.data.length + event.metadata.length, 0);
}

async function assertEmpty(store: Store<unknown>): Promise<void> {
  assert.deepEqual(await readLog(store), { events: [], next: 0n });
}

async function refusesKnown(append: Promise<unknown>, id: string, ids: readonly string[]): Promise<void> {
  const { details } = await refuses("KNOWN_EVENT_IDS", append);
  assert.deepEqual([details.aggregate.id, details.ids], [id, ids]);
}

async function exceeds(
  limit: keyof typeof LIMITS,
  actual: number | undefined,
  append: Promise<unknown>,
): Promise<void> {
  const { details } = await refuses("LIMIT_EXCEEDED", append);
  assert.deepEqual([details.limit, details.allowed], [limit, LIMITS[limit]]);
  if (actual !== undefined) assert.equal(details.actual, actual);
}

/** The shortest text of this letter that is over the limit is refused, and the error tells its bytes. */
async function tooLong(
  limit: keyof typeof LIMITS,
  letter: string,
  append: (text: string) => Promise<unknown>,
): Promise<void> {
  const bytes = Buffer.byteLength(letter);
  const letters = Math.floor(LIMITS[limit] / bytes) + 1;
  await exceeds(limit, letters * bytes, append(letter.repeat(letters)));
}

async function describesWhatIsThere(
  store: Store<unknown>,
  result: AppendResult | undefined,
  first: number,
  last: number,
): Promise<void> {
  assert.ok(result !== undefined);
  assert.deepEqual([result.first, result.last, result.repeated], [first, last, false]);
  const events = await collect(store.readAggregate(result.aggregate, { fromVersion: first, toVersion: last }));
  assert.deepEqual(
    events.map((event) => event.id),
    result.ids,
  );
  assert.deepEqual(
    events.map((event) => event.position),
    result.positions,
  );
  assert.deepEqual(
    events.map((event) => event.aggregate),
    events.map(() => result.aggregate),
  );
}

function assertAscending(positions: readonly Position[]): void {
  for (const [index, position] of positions.entries()) {
    const before = positions[index - 1];
    assert.ok(before === undefined || before < position, `Position ${position} comes after ${before}.`);
  }
}

function assertNothingGlobal(inside: object): void {
  for (const name of [
    "readAll",
    "head",
    "wait",
    "transaction",
    "within",
    "enterZone",
    "consumers",
    "close",
    "migrate",
  ]) {
    assert.ok(!(name in inside), `${name} is offered inside a transaction.`);
  }
}

/** All names that can be called or read on `target`, its own and inherited ones. */
function memberNames(target: object): readonly string[] {
  const names = new Set<string>();
  let link: unknown = target;
  while (typeof link === "object" && link !== null && link !== Object.prototype) {
    for (const name of Object.getOwnPropertyNames(link)) names.add(name);
    link = Object.getPrototypeOf(link);
  }
  return [...names];
}
