import {
  type AggregateRef,
  type AppendRequest,
  bucketOf,
  defineProjector,
  type Position,
  type ReadAggregateOptions,
  type RecordedEvent,
  type Scope,
  START,
  type Store,
  toPosition,
} from "@tidemark/core";
import { account, deposit, deposits, readLog } from "../events.ts";
import { assert, collect, eventually, FULFILLED, fulfils, later, outcome, promptly, refuses } from "../expect.ts";
import { type Bench, type Change, type Law, override } from "../law.ts";
import {
  answersForAnotherType,
  foldsCase,
  forgesPages,
  hearsNothing,
  keepsConnections,
  misreadsAggregates,
  misreadsLog,
  misreadsScope,
  onlyTimesOut,
  seesOnlyItself,
  splitsByPosition,
  storesOtherBuckets,
  streamsToTheEndOfThePage,
  waits,
} from "../lies/read.ts";
import { readsPastOpenAppends } from "../lies/order.ts";

const aggregateLaws: readonly Law[] = [
  {
    id: "read/aggregate/all",
    promise: "Reading an aggregate yields all of its events, and no others, oldest first.",
    tooth: misreadsAggregates("leaves out the first event of an aggregate", (query) => ({
      ...query,
      from: Math.max(query.from, 2),
    })),
    check: async ({ store }) => {
      await fill(store, "alice", 40);
      await fill(store, "bob", 3);
      const events = await collect(store.readAggregate(account("alice")));
      assert.deepEqual(versions(events), range(1, 40));
      assert.ok(events.every((event) => event.aggregate.id === "alice"));
      assert.deepEqual(
        events.map((event) => event.data),
        deposits(40).map((event) => event.data),
      );
    },
  },
  {
    id: "read/aggregate/from",
    promise: "A read from a version begins with that version.",
    tooth: misreadsAggregates("begins after the version it was given", (query) => ({ ...query, from: query.from + 1 })),
    check: async ({ store }) => {
      await fill(store, "alice", 40);
      const events = await collect(store.readAggregate(account("alice"), { fromVersion: 13 }));
      assert.deepEqual(versions(events), range(13, 40));
    },
  },
  {
    id: "read/aggregate/to",
    promise: "A read to a version ends with that version.",
    tooth: misreadsAggregates("ends before the version it was given", (query) => ({ ...query, to: query.to - 1 })),
    check: async ({ store }) => {
      await fill(store, "alice", 40);
      const events = await collect(store.readAggregate(account("alice"), { toVersion: 27 }));
      assert.deepEqual(versions(events), range(1, 27));
    },
  },
  {
    id: "read/aggregate/range",
    promise: "A read of a range of versions yields both bounds and what is between them.",
    tooth: misreadsAggregates("forgets the upper bound of a range", (query) => ({
      ...query,
      to: Number.MAX_SAFE_INTEGER,
    })),
    check: async ({ store }) => {
      await fill(store, "alice", 40);
      const read = async (fromVersion: number, toVersion: number): Promise<number[]> =>
        versions(await collect(store.readAggregate(account("alice"), { fromVersion, toVersion })));
      assert.deepEqual(await read(5, 9), range(5, 9));
      assert.deepEqual(await read(7, 7), [7]);
      assert.deepEqual(await read(39, 100), [39, 40]);
    },
  },
  {
    id: "read/aggregate/empty-range",
    promise: "A range that holds no version yields nothing.",
    tooth: misreadsAggregates("answers a read from beyond the end with the last event", (query) => ({
      ...query,
      from: Math.min(query.from, 3),
    })),
    check: async ({ store }) => {
      await fill(store, "alice", 3);
      assert.deepEqual(await collect(store.readAggregate(account("alice"), { fromVersion: 4 })), []);
      assert.deepEqual(await collect(store.readAggregate(account("alice"), { fromVersion: 3, toVersion: 2 })), []);
    },
  },
  {
    id: "read/aggregate/backward",
    promise: "A backward read yields the newest event first, within the same bounds.",
    tooth: misreadsAggregates("reads forward whatever the direction", (query) => ({ ...query, direction: "forward" })),
    check: async ({ store }) => {
      await fill(store, "alice", 40);
      const backward = (bounds: object): Promise<RecordedEvent[]> =>
        collect(store.readAggregate(account("alice"), { ...bounds, direction: "backward" }));
      assert.deepEqual(versions(await backward({})), range(1, 40).toReversed());
      assert.deepEqual(versions(await backward({ fromVersion: 3, toVersion: 33 })), range(3, 33).toReversed());
    },
  },
  {
    id: "read/aggregate/limit",
    promise: "A limited read yields at most that many events: the oldest forward, the newest backward.",
    tooth: misreadsAggregates("yields one event more than the limit", (query) => ({
      ...query,
      limit: query.limit + 1,
    })),
    check: async ({ store }) => {
      await fill(store, "alice", 40);
      const limited = async (limit: number, direction: "forward" | "backward"): Promise<number[]> =>
        versions(await collect(store.readAggregate(account("alice"), { limit, direction })));
      assert.deepEqual(await limited(5, "forward"), range(1, 5));
      assert.deepEqual(await limited(25, "forward"), range(1, 25));
      assert.deepEqual(await limited(2, "backward"), [40, 39]);
      assert.deepEqual(await limited(100, "forward"), range(1, 40));
      assert.deepEqual(await limited(0, "forward"), []);
    },
  },
  {
    id: "read/aggregate/unknown",
    promise: "Reading an aggregate that does not exist yields nothing and throws nothing.",
    tooth: answersForAnotherType,
    check: async ({ store }) => {
      await fill(store, "alice", 3);
      const strangers = [
        account("bob"),
        { type: "order", id: "alice" },
        { context: "other", type: "account", id: "alice" },
      ];
      for (const stranger of strangers) {
        const reading = collect(store.readAggregate(stranger));
        assert.deepEqual(await fulfils(reading, "An unknown aggregate reads as an empty one"), []);
      }
    },
  },
  {
    id: "read/aggregate/huge",
    promise: "An aggregate of 100 000 events streams through a bounded number of events in memory.",
    tooth: misreadsAggregates("reads the whole aggregate at once", wholly),
    check: async (bench) => {
      for (let batch = 0; batch < 10; batch++) await bench.store.append(deposit("alice", 10_000));
      const { read, held } = await streamWatched(bench, "alice", () => 1);
      assert.deepEqual(read, range(1, 100_000));
      assert.ok(held <= 2_000, `${held} events were held at once.`);
    },
  },
  {
    id: "read/aggregate/huge-events",
    promise: "An aggregate of large events streams through a bounded number of bytes in memory.",
    tooth: misreadsAggregates("reads the whole aggregate at once", wholly),
    check: async (bench) => {
      const data = "x".repeat(256 * 1024);
      for (let batch = 0; batch < 12; batch++) {
        const events = range(1, 8).map(() => ({ type: "deposited", data }));
        await bench.store.append({ aggregate: account("alice"), events });
      }
      const { read, held } = await streamWatched(bench, "alice", (event) => event.data.length);
      assert.deepEqual(read, range(1, 96));
      assert.ok(held <= 8 * 1024 * 1024, `${held} bytes were held at once.`);
    },
  },
  {
    id: "read/aggregate/heavy",
    promise:
      "A stream holds a few megabytes of an aggregate, whichever way it goes, also where large events follow small.",
    tooth: misreadsAggregates("reads pages of any size", (query) => ({ ...query, bytes: Number.MAX_SAFE_INTEGER })),
    check: async (bench) => {
      await fill(bench.store, "alice", 400);
      // Half as many characters as bytes: a page that is full to one who counts bytes is not to one who counts characters.
      const large = { type: "deposited", data: "é".repeat(500_000) };
      for (let batch = 0; batch < 6; batch++) {
        await bench.store.append({ aggregate: account("alice"), events: range(1, 5).map(() => large) });
      }
      await fill(bench.store, "alice", 400);
      const all = range(1, 830);
      const reads: readonly (readonly [ReadAggregateOptions, readonly number[]])[] = [
        [{}, all],
        [{ direction: "backward" }, all.toReversed()],
        [{ fromVersion: 17, toVersion: 421 }, range(17, 421)],
        [{ fromVersion: 409, toVersion: 814, direction: "backward" }, range(409, 814).toReversed()],
      ];
      for (const [options, versions] of reads) {
        const { read, held } = await streamWatched(bench, "alice", ({ data }) => data.length, options);
        assert.deepEqual(read, versions);
        assert.ok(held <= 5 * 1024 * 1024, `${held} characters were held at once.`);
      }
      assert.deepEqual(await lengthsOfLeastPages(bench, "alice"), [1]);
    },
  },
  {
    id: "read/aggregate/early-exit",
    promise: "Streams that are broken off leave nothing behind that later calls would miss.",
    tooth: keepsConnections,
    check: async ({ store }) => {
      await fill(store, "alice", 40);
      for (let stream = 0; stream < 30; stream++) {
        const first = firstOf(store.readAggregate(account("alice")));
        assert.equal(
          (await fulfils(promptly("A stream begins", first), "Broken-off streams cost nothing"))?.version,
          1,
        );
      }
      const append = promptly("An append after broken-off streams", store.append(deposit("alice")));
      assert.equal((await fulfils(append, "Broken-off streams cost nothing")).first, 41);
    },
  },
];

const logLaws: readonly Law[] = [
  {
    id: "read/all/order",
    promise:
      "The log is read in strictly increasing positions, and each aggregate's events in the order of their versions.",
    tooth: forgesPages("returns the newest event of a page first", (page) => ({
      ...page,
      events: page.events.toReversed(),
    })),
    check: async ({ store, open }) => {
      const other = await open();
      const writes = range(1, 30).flatMap((n) => [
        store.append(deposit(`${n % 3}`, 2)),
        other.append(deposit(`${n % 3}`)),
      ]);
      await Promise.all(writes);
      for (const limit of [7, 500]) {
        const { events } = await readLog(store, { limit });
        assert.equal(events.length, 90);
        assert.ok(events.every((event, index) => event.position > (events[index - 1]?.position ?? START)));
        for (const id of ["0", "1", "2"]) {
          assert.deepEqual(versions(events.filter((event) => event.aggregate.id === id)), range(1, 30));
        }
      }
    },
  },
  {
    id: "read/all/after-exclusive",
    promise: "A read of the log begins after the position it was given.",
    tooth: misreadsLog("includes the event at the position it was given", (query) => ({
      ...query,
      after: before(query.after),
    })),
    check: async ({ store }) => {
      await store.append(deposit("alice", 5));
      const { events } = await store.readAll();
      assert.equal(events.length, 5);
      for (const [index, event] of events.entries()) {
        const page = await store.readAll({ after: event.position });
        assert.deepEqual(ids(page.events), ids(events.slice(index + 1)));
      }
    },
  },
  {
    id: "read/all/limit",
    promise: "A page of the log holds at most as many events as its limit, the first ones.",
    tooth: misreadsLog("returns one event more than the limit", (query) => ({ ...query, limit: query.limit + 1 })),
    check: async ({ store }) => {
      await store.append(deposit("alice", 10));
      for (const limit of [1, 3, 9])
        assert.deepEqual(versions((await store.readAll({ limit })).events), range(1, limit));
      assert.equal((await store.readAll({ limit: 10_000 })).events.length, 10);
    },
  },
  {
    id: "read/all/limit-bounds",
    promise: "A page limit below 1 or above 10 000 is refused.",
    tooth: {
      lie: "serves as much as it can of a page that is too large",
      store: (real) =>
        override(real, () => ({
          readAll: (options = {}) => real.readAll({ ...options, limit: Math.min(options.limit ?? 500, 10_000) }),
        })),
    },
    check: async ({ store }) => {
      for (const limit of [0, -1, 1.5, 10_001]) await refuses("INVALID_ARGUMENT", store.readAll({ limit }));
    },
  },
  {
    id: "read/all/pages",
    promise: "Reading on from each page's `next` yields every event exactly once, whatever the size of the pages.",
    tooth: forgesPages("names the head as `next` of a full page", (page, _query, head) => ({ ...page, next: head })),
    check: async ({ store }) => {
      for (const id of ["alice", "bob", "carol"]) await store.append(deposit(id, 8));
      const all = (await store.readAll()).events;
      assert.equal(all.length, 24);
      for (const limit of [1, 2, 7, 24, 25]) assert.deepEqual(ids((await readLog(store, { limit })).events), ids(all));
    },
  },
  {
    id: "read/all/full-page",
    promise: "`next` of a full page is the position of its last event.",
    tooth: forgesPages("names the position before the last event as `next` of a full page", (page, query) =>
      page.events.length === query.limit ? { ...page, next: before(page.next) } : page,
    ),
    check: async ({ store }) => {
      await store.append(deposit("alice", 6));
      for (const limit of [1, 4, 6]) {
        const page = await store.readAll({ limit });
        assert.equal(page.next, page.events.at(-1)?.position);
      }
    },
  },
  {
    id: "read/all/large-events",
    promise: "A page of large events is short, so that it fits into memory, and the next one goes on behind it.",
    tooth: {
      lie: "fills its pages with events of any size",
      adapter: (real) =>
        override(real, () => ({
          readAll: (query, op) => real.readAll({ ...query, bytes: Number.MAX_SAFE_INTEGER }, op),
        })),
    },
    check: async ({ store }) => {
      const large = { type: "deposited", data: "x".repeat(1_000_000) };
      for (let count = 0; count < 5; count++) {
        await store.append({ aggregate: account("a"), events: Array.from({ length: 4 }, () => large) });
      }
      const page = await store.readAll({ limit: 100 });
      assert.ok(page.events.length >= 1 && page.events.length < 20, `The page holds ${page.events.length} megabytes.`);
      assert.equal(page.next, page.events.at(-1)?.position);
      assert.equal((await readLog(store, { limit: 100 })).events.length, 20);
    },
  },
  {
    id: "read/all/short-page",
    promise: "`next` of a page that is not full is the head, so a reader has caught up exactly when the two are equal.",
    tooth: forgesPages("names the last matching event as `next` of a short page", (page) => ({
      ...page,
      next: page.events.at(-1)?.position ?? page.next,
    })),
    check: async ({ store }) => {
      await appendMixed(store);
      const head = await store.head();
      const scopes: readonly Scope[] = [
        {},
        { contexts: ["default"] },
        { aggregateTypes: ["account"] },
        { eventTypes: ["opened"] },
      ];
      for (const scope of scopes) {
        const page = await store.readAll({ scope, limit: 100 });
        assert.ok(page.events.length > 0 && page.events.length < 100);
        assert.equal(page.next, head);
      }
    },
  },
  {
    id: "read/all/next-moves",
    promise: "With a scope that matches nothing, `next` is the head and not the position that the read began after.",
    tooth: forgesPages("stays where it is when nothing matches", (page, query) =>
      page.events.length === 0 ? { ...page, next: query.after } : page,
    ),
    check: async ({ store }) => {
      const { positions } = await store.append(deposit("alice", 5));
      for (const after of [START, positions[1] ?? START]) {
        const page = await store.readAll({ after, scope: { eventTypes: ["withdrawn"] } });
        assert.deepEqual(page, { events: [], next: await store.head() });
      }
    },
  },
];

const scopeLaws: readonly Law[] = [
  {
    id: "read/all/scope-contexts",
    promise: "A scope of contexts yields exactly the events of these contexts.",
    tooth: misreadsScope("ignores the contexts of a scope", () => ({ contexts: [] })),
    check: async ({ store }) => {
      await appendMixed(store);
      await checkScope(store, { contexts: ["default"] }, ({ aggregate }) => aggregate.context === "default");
      await checkScope(store, { contexts: ["archive", "legacy"] }, ({ aggregate }) => aggregate.context !== "default");
    },
  },
  {
    id: "read/all/scope-types",
    promise: "A scope of aggregate types yields exactly the events of aggregates of these types.",
    tooth: misreadsScope("ignores the aggregate types of a scope", () => ({ aggregateTypes: [] })),
    check: async ({ store }) => {
      await appendMixed(store);
      await checkScope(store, { aggregateTypes: ["order"] }, ({ aggregate }) => aggregate.type === "order");
      await checkScope(store, { aggregateTypes: ["account", "order"] }, ({ aggregate }) => aggregate.type !== "cart");
    },
  },
  {
    id: "read/all/scope-event-types",
    promise: "A scope of event types yields exactly the events of these types.",
    tooth: misreadsScope("ignores the event types of a scope", () => ({ eventTypes: [] })),
    check: async ({ store }) => {
      await appendMixed(store);
      await checkScope(store, { eventTypes: ["opened"] }, ({ type }) => type === "opened");
      await checkScope(store, { eventTypes: ["opened", "closed"] }, ({ type }) => type !== "renamed");
    },
  },
  {
    id: "read/all/scope-segment",
    promise: "A scope of a segment yields exactly the events whose aggregates belong to it.",
    tooth: misreadsScope("reads the segment beside the one that was asked for", ({ segment, segments }) => ({
      segment: (segment + 1) % segments,
    })),
    check: async ({ store }) => {
      await appendMixed(store);
      for (const index of [0, 1]) {
        await checkScope(store, { segment: { index, of: 2 } }, ({ aggregate }) => bucketOf(aggregate) % 2 === index);
      }
    },
  },
  {
    id: "read/all/scope-combined",
    promise: "A scope of several parts yields exactly the events that match all of them.",
    tooth: misreadsScope("ignores the event types of a scope that names aggregate types", (scope) =>
      scope.aggregateTypes.length > 0 ? { eventTypes: [] } : {},
    ),
    check: async ({ store }) => {
      await appendMixed(store);
      const scope = { contexts: ["default", "legacy"], aggregateTypes: ["account"], eventTypes: ["opened", "renamed"] };
      const matches = ({ aggregate, type }: RecordedEvent): boolean =>
        aggregate.context !== "archive" && aggregate.type === "account" && type !== "closed";
      await checkScope(store, scope, matches);
      const half = { ...scope, segment: { index: 1, of: 2 } };
      await checkScope(store, half, (event) => matches(event) && bucketOf(event.aggregate) % 2 === 1);
    },
  },
  {
    id: "read/scope/empty-list",
    promise: "An empty list in a scope filters nothing.",
    tooth: {
      lie: "lets an empty list match nothing",
      store: (real) =>
        override(real, () => ({
          readAll: async (options = {}) => {
            const page = await real.readAll(options);
            const isEmpty = Object.values(options.scope ?? {}).some((part) => Array.isArray(part) && part.length === 0);
            return isEmpty ? { ...page, events: [] } : page;
          },
        })),
    },
    check: async ({ store }) => {
      await appendMixed(store);
      const all = await store.readAll();
      assert.ok(all.events.length > 0);
      const empty: readonly Scope[] = [{ contexts: [] }, { aggregateTypes: [] }, { eventTypes: [] }];
      for (const scope of empty) assert.deepEqual(await store.readAll({ scope }), all);
    },
  },
  {
    id: "read/scope/bytes",
    promise: "The names in a scope are compared by their bytes.",
    tooth: foldsCase,
    check: async ({ store }) => {
      const types = ["account", "Account", "account ", "e\u0301", "\u00e9", "a%", "a_"];
      for (const type of types) await store.append({ aggregate: { type, id: "1" }, events: deposits(1) });
      for (const type of types) {
        const { events } = await store.readAll({ scope: { aggregateTypes: [type] } });
        assert.deepEqual(
          events.map((event) => event.aggregate.type),
          [type],
        );
      }
    },
  },
];

/** Part of the stored format: these numbers never change. */
const GOLDEN_BUCKETS: readonly (readonly [context: string, type: string, id: string, bucket: number])[] = [
  ["default", "account", "1", 175],
  ["default", "account", "2", 578],
  ["default", "order", "1", 968],
  ["billing", "account", "1", 65],
  ["a", "bc", "d", 997],
  ["ab", "c", "d", 701],
  ["default", "account", "\u00e9", 201],
  ["default", "account", "e\u0301", 166],
  ["default", "account", "\u{1f600}", 210],
  ["default", "account", "x".repeat(400), 830],
  ["default", "account", " ", 492],
  ["default", "account", "1 ", 716],
];

const segmentLaws: readonly Law[] = [
  {
    id: "read/segments/partition",
    promise:
      "However many segments there are, every event is in exactly one, and all events of an aggregate are in the same.",
    tooth: splitsByPosition,
    check: async ({ store }) => {
      await Promise.all(range(1, 60).map((n) => store.append(deposit(`${n}`, 3))));
      const all = ids((await readLog(store)).events);
      for (const of of [1, 2, 8, 64]) {
        const segments = await Promise.all(
          range(0, of - 1).map(async (index) => (await readLog(store, { scope: { segment: { index, of } } })).events),
        );
        assert.deepEqual(ids(segments.flat()).toSorted(), all.toSorted());
        const homes = segments.map((events) => new Set(events.map((event) => event.aggregate.id)));
        const aggregates = homes.reduce((sum, home) => sum + home.size, 0);
        assert.equal(aggregates, 60, `With ${of} segments some aggregates are in more than one.`);
      }
    },
  },
  {
    id: "read/segments/golden",
    promise: "The bucket of an aggregate is the one that the format prescribes, on every database and for ever.",
    tooth: storesOtherBuckets,
    check: async ({ store }) => {
      for (const [context, type, id, bucket] of GOLDEN_BUCKETS) {
        const ref = { context, type, id };
        assert.equal(prescribedBucket(ref), bucket);
        assert.equal(bucketOf(ref), bucket);
        await store.append({ aggregate: ref, events: deposits(1) });
        const { events } = await store.readAll({ scope: { segment: { index: bucket, of: 1024 } } });
        assert.deepEqual(
          events.map((event) => event.aggregate),
          [ref],
        );
      }
    },
  },
  {
    id: "read/segments/power-of-two",
    promise: "A segment is one of a power of two up to 1024, counted from 0; any other is refused.",
    tooth: {
      lie: "takes the remainder of a segment that is out of range",
      store: (real) =>
        override(real, () => ({
          readAll: (options = {}) => {
            const { index, of } = options.scope?.segment ?? { index: 0, of: 1 };
            const segments = 2 ** Math.floor(Math.log2(Math.min(Math.max(of, 1), 1024)));
            const segment = { index: Math.abs(Math.floor(index)) % segments, of: segments };
            return real.readAll({ ...options, scope: { ...options.scope, segment } });
          },
        })),
    },
    check: async ({ store }) => {
      const wrong = [
        [0, 3],
        [0, 0],
        [0, 2048],
        [0, -2],
        [2, 2],
        [-1, 2],
        [0.5, 2],
      ] as const;
      for (const [index, of] of wrong) {
        await refuses("INVALID_ARGUMENT", store.readAll({ scope: { segment: { index, of } } }));
      }
    },
  },
];

const headLaws: readonly Law[] = [
  {
    id: "read/head/empty",
    promise: "The head of an empty log is 0, and so is `next` of its pages.",
    tooth: {
      lie: "lets an empty log begin at 1",
      adapter: (real) => override(real, () => ({ head: async (op) => (await real.head(op)) || toPosition(1) })),
    },
    check: async ({ store }) => {
      assert.equal(await store.head(), START);
      assert.deepEqual(await store.readAll(), { events: [], next: START });
      assert.deepEqual(await store.readAll({ scope: { aggregateTypes: ["account"] } }), { events: [], next: START });
    },
  },
  {
    id: "read/head/moves",
    promise: "The head is the position of the last committed event; a refused append does not move it.",
    tooth: {
      lie: "tells the head that it read first",
      adapter: (real) => {
        let first: Position | undefined;
        return override(real, () => ({ head: async (op) => (first ??= await real.head(op)) }));
      },
    },
    check: async ({ store, open }) => {
      const other = await open();
      for (const writer of [store, other]) {
        const { positions } = await writer.append(deposit("alice", 3));
        assert.equal(await store.head(), positions.at(-1));
        await refuses("VERSION_CONFLICT", writer.append(deposit("alice", 1, { expected: "none" })));
        assert.equal(await store.head(), positions.at(-1));
      }
    },
  },
  {
    id: "read/head/below-in-flight",
    promise: "The head stays below an append that is still open, so a consumer that starts at the head receives it.",
    when: { concurrentWriters: true },
    tooth: readsPastOpenAppends,
    check: async ({ store, database, consume }) => {
      await store.append(deposit("before"));
      const slow = await database.begin();
      const { ids: open, positions } = await store.within(slow.tx).append(deposit("slow"));
      const later = await store.append(deposit("quick"));
      assert.ok((await store.head()) < (positions[0] ?? START), "The head passed an open append.");

      const seen: string[] = [];
      const projector = defineProjector({ name: "late", start: "head", handle: (event) => void seen.push(event.id) });
      await consume(store, projector);
      await slow.commit();
      await consume(store, projector);
      assert.deepEqual(seen, [...open, ...later.ids]);
    },
  },
];

/** So long that only a signal, never the next poll, explains that a waiting reader wakes. */
const NEVER_POLLS = { poll: { minMs: 600_000, maxMs: 600_000 } };

const waitLaws: readonly Law[] = [
  {
    id: "read/wait/wakes",
    promise: "A waiting reader wakes after an append by the same store, without polling for it.",
    tooth: onlyTimesOut,
    check: async ({ open }) => {
      const store = await open(NEVER_POLLS);
      for (let round = 0; round < 3; round++) {
        const waiting = store.wait(await store.head(), { timeoutMs: 500_000 });
        const { positions } = await store.append(deposit("alice"));
        assert.equal(await promptly("A reader wakes after an append", waiting), positions[0]);
      }
    },
  },
  {
    id: "read/wait/wakes-transaction",
    promise: "A waiting reader wakes when a transaction of the same store commits its appends.",
    tooth: onlyTimesOut,
    check: async ({ open }) => {
      const store = await open(NEVER_POLLS);
      const waiting = store.wait(await store.head(), { timeoutMs: 500_000 });
      const { positions } = await store.transaction((_tx, within) => within.append(deposit("alice")));
      assert.equal(await promptly("A reader wakes after a commit", waiting), positions[0]);
    },
  },
  {
    id: "read/wait/other-store",
    promise: "A waiting reader wakes after an append by another store on the same database.",
    tooth: seesOnlyItself,
    check: async ({ store, open }) => {
      const other = await open();
      const waiting = store.wait(await store.head(), { timeoutMs: 500_000 });
      const { positions } = await other.append(deposit("alice"));
      assert.equal(await promptly("A reader wakes after another store's append", waiting), positions[0]);
    },
  },
  {
    id: "read/wait/other-process",
    promise: "A waiting reader wakes after an append by another process.",
    when: { shared: true },
    tooth: seesOnlyItself,
    check: async ({ store, spawn }) => {
      const child = await spawn("read/append-when-told");
      await child.hear("ready");
      const waiting = store.wait(await store.head(), { timeoutMs: 500_000 });
      child.say("append");
      await child.result();
      assert.equal(await promptly("A reader wakes after another process's append", waiting), await lastPosition(store));
    },
  },
  {
    id: "read/wait/hears/other-store",
    promise: "A waiting reader wakes after an append by another store, without polling for it.",
    when: { wakeups: true },
    tooth: hearsNothing,
    check: async ({ open }) => {
      const [{ rest }, other] = [await openListener(open), await open()];
      await untilHeard(rest, other);
      for (const how of ["append", "transaction"] as const) {
        const { waiting } = await rest();
        const { positions } =
          how === "append"
            ? await other.append(deposit("alice"))
            : await other.transaction((_tx, within) => within.append(deposit("alice")));
        assert.equal(await promptly(`A reader wakes after another store's ${how}`, waiting), positions[0]);
      }
    },
  },
  {
    id: "read/wait/hears/other-process",
    promise: "A waiting reader wakes after an append by another process, without polling for it.",
    when: { wakeups: true, shared: true },
    tooth: hearsNothing,
    check: async ({ open, spawn }) => {
      const { rest } = await openListener(open);
      const child = await spawn("read/append-until-heard");
      await child.hear("ready");
      const { waiting } = await rest();
      child.say("append");
      const head = await promptly("A reader wakes after another process's append", waiting);
      assert.ok(head > START);
      child.say("heard");
      await child.result();
    },
  },
  {
    id: "read/wait/hears/after-outage",
    promise: "A reader whose connection was lost hears of appends again, without polling for them.",
    when: { wakeups: true, server: true },
    tooth: hearsNothing,
    check: async ({ open, database }) => {
      if (database.line === undefined) throw new TypeError("A subject with a server needs the hook `line`.");
      const line = await database.line();
      const [{ store, rest }, other] = [await openListener(open, () => line.adapter()), await open()];
      await untilHeard(rest, other);
      await line.cut();
      await refuses("UNAVAILABLE", store.head());
      await line.mend();
      await eventually("The server is back", async () => (await outcome(store.head())) === FULFILLED);
      await untilHeard(rest, other);
    },
  },
  {
    id: "read/wait/hears/nothing",
    promise: "A reader to whom nothing is told finds out by polling.",
    tooth: onlyTimesOut,
    check: async ({ open, store: other }) => {
      const deaf = await open({}, (real) =>
        real.listen === undefined ? real : override(real, () => ({ listen: () => () => undefined })),
      );
      for (let round = 0; round < 3; round++) {
        const waiting = deaf.wait(await deaf.head(), { timeoutMs: 500_000 });
        const { positions } = await other.append(deposit("alice"));
        assert.equal(await promptly("A reader finds out by itself", waiting), positions[0]);
      }
    },
  },
  {
    id: "read/wait/already-there",
    promise: "A reader that is behind does not wait.",
    tooth: waits("waits for the next event, whatever is there", async (real, _after, options) =>
      real.wait(await real.head(), options),
    ),
    check: async ({ open }) => {
      const store = await open(NEVER_POLLS);
      const { positions } = await store.append(deposit("alice", 2));
      for (const after of [START, positions[0] ?? START]) {
        const waiting = store.wait(after, { timeoutMs: 500_000 });
        assert.equal(await promptly("A reader that is behind goes on", waiting), positions[1]);
      }
    },
  },
  {
    id: "read/wait/timeout",
    promise: "A reader that waits in vain gets the head when its timeout is over.",
    tooth: waits("waits ten minutes whatever the timeout", (real, after, options) =>
      real.wait(after, { ...options, timeoutMs: 600_000 }),
    ),
    check: async ({ open }) => {
      const store = await open(NEVER_POLLS);
      const { positions } = await store.append(deposit("alice"));
      const waiting = store.wait(positions[0] ?? START, { timeoutMs: 10 });
      assert.equal(await promptly("Waiting ends by its timeout", waiting), positions[0]);
    },
  },
  {
    id: "read/wait/abort",
    promise: "Waiting ends with ABORTED as soon as its signal fires.",
    tooth: waits("waits on when its signal fires", (real, after, options) =>
      real.wait(after, { ...options, signal: undefined }),
    ),
    check: async ({ open }) => {
      const store = await open(NEVER_POLLS);
      const controller = new AbortController();
      const waiting = store.wait(START, { timeoutMs: 500_000, signal: controller.signal });
      controller.abort();
      await promptly("Waiting ends by its signal", refuses("ABORTED", waiting));
    },
  },
  {
    id: "read/abort",
    promise: "A read whose signal has fired rejects with ABORTED.",
    tooth: {
      lie: "reads the head whatever the signal says",
      store: (real) => override(real, () => ({ head: () => real.head() })),
    },
    check: async ({ store }) => {
      await store.append(deposit("alice"));
      const signal = AbortSignal.abort();
      await refuses("ABORTED", store.readAll({ signal }));
      await refuses("ABORTED", store.head({ signal }));
      await refuses("ABORTED", collect(store.readAggregate(account("alice"), { signal })));
    },
  },
  {
    id: "read/aggregate/abort",
    promise: "A stream whose signal fires rejects with ABORTED instead of its next event.",
    tooth: streamsToTheEndOfThePage,
    check: async ({ store }) => {
      await fill(store, "alice", 3_000);
      const controller = new AbortController();
      const stream = store.readAggregate(account("alice"), { signal: controller.signal });
      let read = 0;
      const reading = (async () => {
        for await (const event of stream) {
          read = event.version;
          controller.abort();
        }
      })();
      await refuses("ABORTED", reading);
      assert.equal(read, 1);
    },
  },
];

/** What a reader of aggregates and of the log is promised. */
export const readLaws: readonly Law[] = [
  ...aggregateLaws,
  ...logLaws,
  ...scopeLaws,
  ...segmentLaws,
  ...headLaws,
  ...waitLaws,
];

/** A reader that never polls. */
interface Listener<Tx> {
  readonly store: Store<Tx>;
  /** Waits for news, and resolves once it was told the head that is not news: from then on only a signal wakes it. */
  readonly rest: () => Promise<{ readonly waiting: Promise<Position> }>;
}

async function openListener<Tx>(open: Bench<Tx>["open"], change: Change<Tx> = (real) => real): Promise<Listener<Tx>> {
  let told = 0;
  const store = await open(NEVER_POLLS, (given) =>
    override(change(given), (real) => ({
      head: async (op) => {
        const head = await real.head(op);
        told += 1;
        return head;
      },
    })),
  );
  const rest = async (): Promise<{ readonly waiting: Promise<Position> }> => {
    const after = await store.head();
    const before = told;
    const waiting = later(store.wait(after, { timeoutMs: 500_000 }));
    await Promise.race([waiting, eventually("A waiting reader looks at the head", () => told > before)]);
    return { waiting };
  };
  return { store, rest };
}

/**
 * Appends until a reader that does not poll has heard of it: who tells and who listens may both still be connecting, and
 * what is told meanwhile is told to nobody. Twice: who has just begun to listen may wake by itself, once, for what it
 * has missed.
 */
async function untilHeard<Tx>(rest: Listener<Tx>["rest"], other: Store<Tx>): Promise<void> {
  for (const time of ["", ", again"]) {
    const { waiting } = await rest();
    let heard: Position | undefined;
    void later(waiting.then((head) => (heard = head)));
    await eventually(`A reader hears of appends${time}`, async () => {
      await other.append(deposit("again and again"));
      return heard;
    });
  }
}

/** Appends `count` deposits to account `id` in a few appends. */
async function fill<Tx>(store: Store<Tx>, id: string, count: number): Promise<void> {
  const first = Math.ceil(count / 3);
  await store.append({ aggregate: account(id), events: deposits(first) });
  await store.append({ aggregate: account(id), events: deposits(count - first, first + 1) });
}

/** Three contexts, three aggregate types, three event types, two aggregates each; the last one matches few scopes. */
async function appendMixed<Tx>(store: Store<Tx>): Promise<void> {
  const events = ["opened", "renamed", "closed"].map((type) => ({ type, data: {} }));
  for (const context of ["default", "archive", "legacy"]) {
    for (const type of ["account", "order", "cart"]) {
      const requests = ["1", "2"].map((id): AppendRequest => ({ aggregate: { context, type, id }, events }));
      await store.appendAll(requests);
    }
  }
}

/** `scope` yields exactly the events that `matches`, some but not all of the log, in small pages and in large ones. */
async function checkScope<Tx>(
  store: Store<Tx>,
  scope: Scope,
  matches: (event: RecordedEvent) => boolean,
): Promise<void> {
  const all = (await readLog(store)).events;
  const wanted = ids(all.filter(matches));
  assert.ok(wanted.length > 0 && wanted.length < all.length);
  for (const limit of [2, 500]) assert.deepEqual(ids((await readLog(store, { scope, limit })).events), wanted);
}

/**
 * Streams an aggregate and measures how much the adapter had delivered, at most, that the reader had not consumed yet.
 */
async function streamWatched<Tx>(
  bench: Bench<Tx>,
  id: string,
  weigh: (event: { readonly data: string }) => number,
  options: ReadAggregateOptions = {},
): Promise<{ readonly read: readonly number[]; readonly held: number }> {
  let held = 0;
  let most = 0;
  const weights: number[] = [];
  const store = await bench.open({}, (adapter) =>
    override(adapter, (real) => ({
      readAggregate: async (query, op) => {
        const page = await real.readAggregate(query, op);
        for (const event of page) {
          weights.push(weigh(event));
          held += weigh(event);
        }
        most = Math.max(most, held);
        return page;
      },
    })),
  );
  const read: number[] = [];
  for await (const { version } of store.readAggregate(account(id), options)) {
    held -= weights[read.length] ?? 0;
    read.push(version);
  }
  return { read, held: most };
}

/** How many events an adapter answers with that is asked for one byte, wherever a stream begins a page. */
async function lengthsOfLeastPages<Tx>(bench: Bench<Tx>, id: string): Promise<readonly number[]> {
  const lengths = new Set<number>();
  const store = await bench.open({}, (adapter) =>
    override(adapter, (real) => ({
      readAggregate: async (query, op) => {
        lengths.add((await real.readAggregate({ ...query, bytes: 1 }, op)).length);
        return real.readAggregate(query, op);
      },
    })),
  );
  for (const direction of ["forward", "backward"] as const) {
    await collect(store.readAggregate(account(id), { direction, limit: 100 }));
  }
  return [...lengths];
}

/** Asks for everything at once, as an adapter does that ignores both limits of a page. */
function wholly<Query extends { readonly limit: number; readonly bytes: number }>(query: Query): Query {
  return { ...query, limit: 1_000_000, bytes: Number.MAX_SAFE_INTEGER };
}

async function firstOf<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}

async function lastPosition<Tx>(store: Store<Tx>): Promise<Position | undefined> {
  return (await readLog(store)).events.at(-1)?.position;
}

/** FNV-1a-32 as its authors wrote it down, independent of core's, over the length-prefixed parts; the lowest ten bits. */
function prescribedBucket({ context, type, id }: AggregateRef): number {
  let hash = 2_166_136_261n;
  for (const part of [context, type, id]) {
    const bytes = Buffer.from(part, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    for (const byte of [...length, ...bytes]) hash = ((hash ^ BigInt(byte)) * 16_777_619n) % 2n ** 32n;
  }
  return Number(hash % 1024n);
}

function versions(events: readonly RecordedEvent[]): number[] {
  return events.map((event) => event.version);
}

function ids(events: readonly RecordedEvent[]): string[] {
  return events.map((event) => event.id);
}

/** `first` … `last`. */
function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function before(position: Position): Position {
  return position > START ? toPosition(position - 1n) : position;
}
