import { type EventInput, type EventStream, type RecordedEvent, START, type Store } from "@tidemark/core";
import { ACCOUNT, ALICE, eventsOf, eventsWith, idsOf, SOME_TIME, watched } from "../actors.ts";
import { account, leavesTheLog, readLog } from "../events.ts";
import { assert, collect, fulfils, promptly, refuses, turn } from "../expect.ts";
import { type Law, override, type Site } from "../law.ts";
import { eventStoresThat, mistakes, packsThat } from "../lies/actors.ts";
import { appendsAs, asksForEvents, givesEvents, keepsConnections } from "../lies/event-stores.ts";

const readLaws: readonly Law[] = [
  {
    id: "event-stores/for/all",
    promise:
      "`getEventsFor` gives all events of an actor, with everything that an event has, and those of no other one.",
    tooth: givesEvents("leaves the first event of an actor out", (events, { after }) =>
      after === "" ? events.slice(1) : events,
    ),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const many = Array.from({ length: 100 }, (_, n) => `e-${String(n).padStart(3, "0")}`);
      await events.storeEvents("s-1", eventsWith(...many));
      await events.storeEvents("s-2", eventsWith("f"));
      await (await eventsOf(store, "order")).storeEvents("s-1", eventsWith("g"));
      for (const all of [await events.getEventsFor("s-1"), await events.getEventsFor("s-1", "")]) {
        assert.deepEqual(idsOf(all), many);
        assert.deepEqual(all, await collect(store.readAggregate(account("s-1"))));
      }
    },
  },
  {
    id: "event-stores/for/after-id-exclusive",
    promise: "With an id `getEventsFor` gives the events after it, whether there is an event of that id or not.",
    tooth: givesEvents("begins with the event that it was to begin after", (events, { after }) =>
      events.filter(({ id }) => after === "" || id !== "c"),
    ),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", eventsWith("b", "c", "e"));
      const after = async (id: string): Promise<readonly string[]> => idsOf(await events.getEventsFor("s", id));
      assert.deepEqual(await Promise.all(["a", "b", "bb", "c", "d", "e", "f"].map(after)), [
        ["b", "c", "e"],
        ["c", "e"],
        ["c", "e"],
        ["e"],
        ["e"],
        [],
        [],
      ]);
      const refused = await refuses("INVALID_ARGUMENT", events.getEventsFor("s", 1 as never));
      assert.equal(refused.details.argument, "lastEventId");
    },
  },
  {
    id: "event-stores/for/unknown-empty",
    promise: "An actor without events has none: every way to read them yields nothing, and throws nothing.",
    tooth: eventStoresThat("gives undefined for an unknown actor", ({ getEventsFor }) => ({
      getEventsFor: async (id, after, op) => {
        const events = await getEventsFor(id, after, op);
        return events.length === 0 ? (undefined as never) : events;
      },
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", eventsWith("a"));
      assert.deepEqual(await events.getEventsFor("nobody"), []);
      assert.deepEqual(await events.getEventsSince("nobody", new Date(0)), []);
      assert.deepEqual(await collect(events.getEventStreamFor("nobody")), []);
    },
  },
  {
    id: "event-stores/for/id-order",
    promise: "Events come ascending by the bytes of their ids, whatever the order in which they were stored.",
    tooth: givesEvents("sorts ids as people do", (events) => events.toSorted((a, b) => a.id.localeCompare(b.id, "en"))),
    check: async ({ store, open }) => {
      const events = await eventsOf(store);
      const sorted = [
        "0",
        "09",
        "9",
        "A",
        "B",
        "Z",
        "a",
        "a ",
        "aa",
        "b",
        "z",
        "á".normalize("NFD"),
        "á",
        "\uffff",
        "\u{1f30a}",
      ];
      const inBytes = sorted.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const shuffled = sorted.map((_id, n) => sorted[(n * 7) % sorted.length] ?? "");
      await events.storeEvents("s", eventsWith(...shuffled.slice(0, 6)));
      await events.storeEvents("s", eventsWith(...shuffled.slice(6)));
      assert.deepEqual(idsOf(await events.getEventsFor("s")), inBytes);
      const other = await eventsOf(await open());
      for (const [n, id] of inBytes.entries()) {
        assert.deepEqual(idsOf(await other.getEventsFor("s", id)), inBytes.slice(n + 1));
      }
    },
  },
  {
    id: "event-stores/for/in-the-log",
    promise: "Events of actors are in the log that consumers read, and events that were appended are the actors'.",
    tooth: {
      lie: "keeps the events of actors apart from the others",
      store: (real) =>
        override(real, () => ({
          eventStores: { create: (type, options) => real.eventStores.create(type, { ...options, context: "apart" }) },
        })),
    },
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const stored = await events.storeEvents("s", eventsWith("b"));
      await store.append({ aggregate: account("s"), events: eventsWith("a") });
      const log = await readLog(store);
      assert.deepEqual(
        log.events.map(({ id, aggregate, version }) => [id, aggregate.context, aggregate.type, aggregate.id, version]),
        [
          ["b", "default", ACCOUNT, "s", 1],
          ["a", "default", ACCOUNT, "s", 2],
        ],
      );
      assert.deepEqual([stored.ids, stored.positions], [["b"], [log.events[0]?.position]]);
      assert.deepEqual(idsOf(await events.getEventsFor("s")), ["a", "b"]);
    },
  },
  {
    id: "event-stores/for/contexts",
    promise: "Actors of one type and id in two contexts do not meet.",
    tooth: {
      lie: "has one context for all",
      store: (real) => override(real, () => ({ eventStores: { create: (type) => real.eventStores.create(type) } })),
    },
    check: async ({ store }) => {
      const [shop, bank] = await Promise.all(
        ["shop", "bank"].map((context) => store.eventStores.create(ACCOUNT, { context })),
      );
      await shop?.storeEvents("s", eventsWith("a"));
      await bank?.storeEvents("s", eventsWith("b"));
      assert.deepEqual(idsOf((await shop?.getEventsFor("s")) ?? []), ["a"]);
      assert.deepEqual(idsOf((await bank?.getEventsFor("s")) ?? []), ["b"]);
      assert.deepEqual(await (await eventsOf(store)).getEventsFor("s"), []);
    },
  },
  {
    id: "event-stores/for/metadata",
    promise: "What an actor's event carries beside its data comes back as it was stored, from the log and from packs.",
    tooth: appendsAs("keeps the metadata that it knows", (unit) => ({
      ...unit,
      parts: unit.parts.map((part) => ({
        ...part,
        events: part.events.map((event) => ({ ...event, metadata: "{}" })),
      })),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const metadata = {
        ...{ _actorType: ACCOUNT, _actorId: "s", _vector: "a:1;b:2", _version: 3, _createdBy: "commands" },
        ...{ _createdById: "c-1", _createdByVersion: 0, _initiatedBy: "deposit", _initiatedById: "i-1" },
        nested: { "a.b": [null, "\u0000\ud800"] },
      };
      const event = { id: "e", type: "deposited", data: [1], metadata, occurredOn: new Date(SOME_TIME + 7) };
      await events.storeEvents("s", [event]);
      await events.storeEventPack("s", "a:1", [event]);
      const read = [(await events.getEventsFor("s"))[0], (await events.getEventPackFor("s", "a:1"))?.[0]];
      for (const found of read) {
        assert.deepEqual([found?.metadata, found?.data, found?.occurredOn], [metadata, [1], event.occurredOn]);
      }
    },
  },
  {
    id: "event-stores/since/date",
    promise: "`getEventsSince` gives the events that occurred at a date or later, by id; without a date it is refused.",
    tooth: asksForEvents("leaves the events of the very date out", (query) => ({
      ...query,
      from: query.from === undefined ? undefined : query.from + 1,
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", dated(["c", 1], ["a", 3], ["b", 2], ["d", -1]));
      const since = async (time: number): Promise<readonly string[]> =>
        idsOf(await events.getEventsSince("s", at(time)));
      assert.deepEqual(await Promise.all([-5, 1, 2, 3, 4].map(since)), [
        ["a", "b", "c", "d"],
        ["a", "b", "c"],
        ["a", "b"],
        ["a"],
        [],
      ]);
      await refuses("INVALID_ARGUMENT", events.getEventsSince("s", undefined as never));
      await refuses("INVALID_ARGUMENT", events.getEventsSince("s", new Date(Number.NaN)));
    },
  },
];

const streamLaws: readonly Law[] = [
  {
    id: "event-stores/stream/since-id-exclusive",
    promise: "A stream begins after its `sinceId`.",
    tooth: asksForEvents("begins at the first event", (query) => ({ ...query, after: "" })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", eventsWith("c", "a", "b"));
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { sinceId: "a" })), ["b", "c"]);
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { sinceId: "" })), ["a", "b", "c"]);
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { sinceId: "c" })), []);
    },
  },
  {
    id: "event-stores/stream/until-id-inclusive",
    promise: "A stream ends with its `untilId`.",
    tooth: asksForEvents("goes on to the last event", (query) => ({ ...query, until: undefined })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", eventsWith("c", "a", "b"));
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { untilId: "b" })), ["a", "b"]);
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { untilId: "bb" })), ["a", "b"]);
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { untilId: "A" })), []);
    },
  },
  {
    id: "event-stores/stream/since-inclusive",
    promise: "A stream has the events that occurred at its `since` or later.",
    tooth: asksForEvents("knows nothing of dates", (query) => ({ ...query, from: undefined })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", dated(["c", 1], ["a", 3], ["b", 2]));
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { since: at(2) })), ["a", "b"]);
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { since: at(4) })), []);
    },
  },
  {
    id: "event-stores/stream/until-inclusive",
    promise: "A stream has the events that occurred at its `until` or before.",
    tooth: asksForEvents("leaves the events of the very date out", (query) => ({
      ...query,
      to: query.to === undefined ? undefined : query.to - 1,
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", dated(["c", 1], ["a", 3], ["b", 2]));
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { until: at(2) })), ["b", "c"]);
      assert.deepEqual(await streamed(events.getEventStreamFor("s", { until: at(0) })), []);
    },
  },
  {
    id: "event-stores/stream/filter",
    promise: "A stream has the events that its filter lets through, which is asked once for each.",
    tooth: eventStoresThat("asks its filter for nothing", ({ getEventStreamFor }) => ({
      getEventStreamFor: (id, options) => getEventStreamFor(id, { ...options, filter: undefined }),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const ids = Array.from({ length: 60 }, (_, n) => `e-${String(n).padStart(2, "0")}`);
      await events.storeEvents("s", eventsWith(...ids));
      const asked: string[] = [];
      const filter = ({ id, data }: RecordedEvent): boolean => {
        asked.push(id);
        return (data as { readonly id: string }).id.endsWith("7");
      };
      const found = await streamed(events.getEventStreamFor("s", { filter }));
      assert.deepEqual([found, asked], [["e-07", "e-17", "e-27", "e-37", "e-47", "e-57"], ids]);
    },
  },
  {
    id: "event-stores/stream/combined",
    promise: "All options of a stream hold together, over any number of pages.",
    tooth: asksForEvents("forgets dates where it has ids", (query) =>
      query.until === undefined ? query : { ...query, from: undefined, to: undefined },
    ),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const numbers = Array.from({ length: 300 }, (_, n) => n);
      const given = numbers.map((n) => [`e-${String(n).padStart(3, "0")}`, (n * 97) % 300] as const);
      await events.storeEvents("s", dated(...given));
      const options = {
        ...{ sinceId: "e-020", untilId: "e-280", since: at(50), until: at(250) },
        filter: ({ id }: RecordedEvent): boolean => !id.endsWith("5"),
      };
      const expected = given
        .filter(([id, time]) => id > "e-020" && id <= "e-280" && time >= 50 && time <= 250 && !id.endsWith("5"))
        .map(([id]) => id);
      assert.deepEqual(await streamed(events.getEventStreamFor("s", options)), expected);
    },
  },
  {
    id: "event-stores/stream/awaited",
    promise: "A stream can be awaited before it is read, and read again: each time from the beginning.",
    tooth: eventStoresThat("can be read once", ({ getEventStreamFor }) => ({
      getEventStreamFor: (id, options): EventStream => {
        const events = getEventStreamFor(id, options)[Symbol.asyncIterator]();
        const once: AsyncIterable<RecordedEvent> = { [Symbol.asyncIterator]: () => events };
        return { ...once, then: (done, failed) => Promise.resolve(once).then(done, failed) };
      },
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", eventsWith("a", "b"));
      const stream = events.getEventStreamFor("s");
      const awaited = await promptly("A stream can be awaited", Promise.resolve(stream));
      for (const each of [stream, awaited, awaited]) assert.deepEqual(idsOf(await collect(each)), ["a", "b"]);
      await events.storeEvents("s", eventsWith("c"));
      assert.deepEqual(idsOf(await collect(awaited)), ["a", "b", "c"]);
    },
  },
  {
    id: "event-stores/stream/lazy",
    promise: "A stream reads nothing before it is iterated, and little more than is asked for.",
    tooth: eventStoresThat("reads all before it gives the first", ({ getEventStreamFor }) => ({
      getEventStreamFor: (id, options): EventStream => {
        const all = collect(getEventStreamFor(id, options));
        // Whoever iterates hears of it; when nobody does, the store may be closed meanwhile.
        all.catch(() => undefined);
        const events: AsyncIterable<RecordedEvent> = {
          [Symbol.asyncIterator]: async function* () {
            yield* await all;
          },
        };
        return { ...events, then: (done, failed) => Promise.resolve(events).then(done, failed) };
      },
    })),
    check: async (bench) => {
      await fill(bench.store, 1_000);
      const { store, watch } = await watched(bench);
      const events = await eventsOf(store);
      const stream = events.getEventStreamFor("s");
      const awaited = await stream;
      await collect(events.getEventStreamFor("nobody"));
      assert.deepEqual([watch.calls, watch.rows], [1, 0]);
      for await (const event of awaited) if (event.version > 5) break;
      assert.ok(watch.rows <= 50, `${watch.rows} events were read for 6.`);
      let count = 0;
      for await (const { id } of awaited) {
        assert.equal(id, `e-${String(count).padStart(5, "0")}`);
        if (++count === 100) break;
      }
      assert.ok(watch.rows <= 500, `${watch.rows} events were read for 106.`);
    },
  },
  {
    id: "event-stores/stream/long",
    promise: "A stream of 10 000 events holds a bounded number of them in memory, each event once.",
    tooth: asksForEvents("reads all events at once", (query) => ({ ...query, limit: 100_000 })),
    check: async (bench) => {
      await fill(bench.store, 10_000);
      const { store, watch } = await watched(bench);
      const events = await eventsOf(store);
      let last = "";
      let count = 0;
      for await (const { id } of events.getEventStreamFor("s")) {
        assert.ok(id > last, `${id} after ${last}.`);
        last = id;
        count += 1;
      }
      assert.equal(count, 10_000);
      assert.ok(watch.most <= 1_000, `${watch.most} events at once.`);
      assert.ok(watch.calls <= 30, `${watch.calls} reads.`);
    },
  },
  {
    id: "event-stores/stream/heavy",
    promise: "A stream holds a few megabytes of events in memory, also where large events come after small ones.",
    tooth: asksForEvents("reads pages of any size", (query) => ({ ...query, bytes: Number.MAX_SAFE_INTEGER })),
    check: async (bench) => {
      await fill(bench.store, 400);
      // Half as many characters as bytes: a page that is full to one who counts bytes is not to one who counts characters.
      const data = "é".repeat(500_000);
      const heavy = Array.from({ length: 30 }, (_, n) => ({ id: `h-${n + 10}`, type: "deposited", data }));
      await (await eventsOf(bench.store)).storeEvents("s", heavy);
      const { store, watch } = await watched(bench);
      const read = await streamed((await eventsOf(store)).getEventStreamFor("s"));
      assert.deepEqual([read.length, read.slice(400)], [430, idsOf(heavy)]);
      assert.ok(watch.characters <= 5 * 1024 * 1024, `${watch.characters} characters at once.`);
    },
  },
  {
    id: "event-stores/stream/early-exit",
    promise: "Streams that are broken off, or never begun, leave nothing behind that later calls would miss.",
    tooth: keepsConnections,
    check: async ({ store }) => checkBrokenOff(store),
  },
  {
    id: "event-stores/stream/early-exit/few-connections",
    promise: "Streams that are broken off, or never begun, give a small pool its connections back.",
    when: { server: true },
    tooth: keepsConnections,
    check: async (bench) => checkBrokenOff(await fewConnections(bench)),
  },
  {
    id: "event-stores/stream/beside",
    promise: "While a stream is being read others may be begun, and events stored, without end.",
    when: { server: true },
    tooth: keepsConnections,
    check: async (bench) => {
      const store = await fewConnections(bench);
      await fill(store, 40);
      const events = await eventsOf(store);
      const open: AsyncIterator<RecordedEvent>[] = [];
      for (let n = 0; n < 10; n++) {
        const stream = events.getEventStreamFor("s")[Symbol.asyncIterator]();
        const begun = fulfils(promptly("A stream begins", stream.next()), "Streams hold no connection");
        assert.equal((await begun).done, false);
        open.push(stream);
      }
      await fulfils(
        promptly("Storing beside streams", events.storeEvents("s", eventsWith("zz"))),
        "Streams hold nothing",
      );
      for (const stream of open) await stream.return?.();
    },
  },
  {
    id: "event-stores/stream/aborted",
    promise: "A stream ends with ABORTED when its signal fires, instead of its next event.",
    tooth: eventStoresThat("does not hear signals", ({ getEventStreamFor }) => ({
      getEventStreamFor: (id, options) => getEventStreamFor(id, { ...options, signal: undefined }),
    })),
    check: async ({ store }) => {
      await fill(store, 100);
      const events = await eventsOf(store);
      const controller = new AbortController();
      const read: string[] = [];
      const reading = (async () => {
        for await (const { id } of events.getEventStreamFor("s", { signal: controller.signal })) {
          read.push(id);
          controller.abort();
        }
      })();
      await refuses("ABORTED", reading);
      assert.deepEqual(read, ["e-00000"]);
    },
  },
];

const storeLaws: readonly Law[] = [
  {
    id: "event-stores/store/empty",
    promise: "Storing no events does nothing, and tells of none.",
    tooth: eventStoresThat("refuses an empty list", ({ storeEvents }) => ({
      storeEvents: (id, events, op) =>
        events.length === 0 ? Promise.reject(new RangeError("No events.")) : storeEvents(id, events, op),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await leavesTheLog(store, async () => {
        assert.deepEqual(await fulfils(events.storeEvents("s", []), "No events are fine"), { ids: [], positions: [] });
      });
    },
  },
  {
    id: "event-stores/store/empty/refused",
    promise:
      "Storing no events is refused where storing some would be: by a closed store, and by a signal that has fired.",
    tooth: eventStoresThat("looks at nothing where there is nothing to be stored", ({ storeEvents }) => ({
      storeEvents: async (id, events, op) =>
        events.length === 0 ? { ids: [], positions: [] } : storeEvents(id, events, op),
    })),
    check: async ({ store, open }) => {
      const signal = AbortSignal.abort();
      await refuses("ABORTED", (await eventsOf(store)).storeEvents("s", [], { signal }));
      const ended = await store.transaction(async (_tx, inside) => eventsOf(inside));
      await refuses("TRANSACTION_ENDED", ended.storeEvents("s", []));
      const other = await open();
      const events = await eventsOf(other);
      await other.close();
      await refuses("CLOSED", events.storeEvents("s", []));
    },
  },
  {
    id: "event-stores/store/duplicate-id",
    promise: "An event that the actor has already, with the same content, is left out: storing again is no change.",
    tooth: appendsAs("refuses ids that are known", (unit) => ({ ...unit, known: "refuse" })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const first = await events.storeEvents("s", eventsWith("a", "b"));
      const again = fulfils(events.storeEvents("s", eventsWith("b", "a")), "Known events are left out");
      assert.deepEqual((await again).positions.toReversed(), first.positions);
      const mixed = fulfils(events.storeEvents("s", eventsWith("c", "a", "d")), "Known events are left out");
      assert.deepEqual((await mixed).positions[1], first.positions[0]);
      assert.deepEqual((await mixed).ids, ["c", "a", "d"]);
      const log = await readLog(store);
      assert.deepEqual(idsOf(log.events), ["a", "b", "c", "d"]);
      await events.storeEvents("t", eventsWith("a"));
      assert.deepEqual(idsOf(await events.getEventsFor("t")), ["a"]);
    },
  },
  {
    id: "event-stores/store/duplicate-in-call",
    promise: "The same event twice in one call is refused or stored once, and never twice.",
    tooth: eventStoresThat("gives what is there twice another id", ({ storeEvents }) => ({
      storeEvents: (id, events, op) =>
        storeEvents(
          id,
          events.map((event, n) => ({ ...event, id: `${event.id}${n}` })),
          op,
        ),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", eventsWith("a", "b", "a")).catch(() => undefined);
      const stored = idsOf(await events.getEventsFor("s"));
      assert.ok(["", "a,b"].includes(stored.join()), stored.join());
    },
  },
  {
    id: "event-stores/store/other-content",
    promise: "A known id with other content is refused, and nothing of the call is written.",
    tooth: eventStoresThat("stores what it can of a list", ({ storeEvents }) => ({
      storeEvents: async (id, events, op) => {
        for (const event of events) await storeEvents(id, [event], op);
        return storeEvents(id, events, op);
      },
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEvents("s", eventsWith("b"));
      await leavesTheLog(store, async () => {
        const other = [...eventsWith("a"), { id: "b", type: "deposited", data: "other" }, ...eventsWith("c")];
        const error = await refuses("KNOWN_EVENT_IDS", events.storeEvents("s", other));
        assert.deepEqual(error.details.ids, ["b"]);
        assert.match(error.message, /another type or other data/);
      });
    },
  },
  {
    id: "event-stores/store/atomic",
    promise: "What is stored in one call is there as a whole or not at all.",
    tooth: eventStoresThat("stores a list one by one", ({ storeEvents }) => ({
      storeEvents: async (id, events, op) => {
        const positions = [];
        for (const event of events) positions.push(...(await storeEvents(id, [event], op)).positions);
        return { ids: [], positions };
      },
    })),
    check: async ({ store, open }) => {
      const events = await eventsOf(store);
      await leavesTheLog(store, async () => {
        const bad: EventInput[] = [...eventsWith("a", "b"), { id: "c", type: "deposited", data: 1n }];
        await refuses("INVALID_EVENT", events.storeEvents("s", bad));
        await refuses("LIMIT_EXCEEDED", events.storeEvents("s", [...eventsWith("a"), ...eventsWith("x".repeat(201))]));
      });
      const other = await eventsOf(await open());
      const storing = events.storeEvents("s", eventsWith(...Array.from({ length: 200 }, (_, n) => `e-${n}`)));
      let isStored = false;
      const watching = storing.finally(() => (isStored = true));
      watching.catch(() => undefined);
      while (!isStored) {
        assert.ok(
          [0, 200].includes((await other.getEventsFor("s")).length),
          "A part of what was stored in one call is there.",
        );
        await turn();
      }
      await storing;
      assert.equal((await other.getEventsFor("s")).length, 200);
    },
  },
  {
    id: "event-stores/store/at-once",
    promise: "Of events that several store at once, each is there once, and none of them is refused.",
    tooth: appendsAs("refuses ids that are known", (unit) => ({ ...unit, known: "refuse" })),
    check: async ({ store, open }) => {
      const stores = [await eventsOf(store), await eventsOf(await open())];
      const ids = Array.from({ length: 12 }, (_, n) => `e-${String(n).padStart(2, "0")}`);
      const storing = ids.flatMap((id, n) =>
        stores.map((events) => events.storeEvents("s", eventsWith(id, ids[(n + 5) % ids.length] ?? id))),
      );
      await fulfils(Promise.all(storing), "The same events may be stored at once");
      assert.deepEqual(idsOf((await readLog(store)).events).toSorted(), ids);
    },
  },
  {
    id: "event-stores/store/at-once/processes",
    promise: "Of events that two processes store at once, each is there once, and none of them is refused.",
    when: { shared: true },
    tooth: appendsAs("knows its own events only", (unit) => ({
      ...unit,
      parts: unit.parts.map((part) => ({
        ...part,
        events: part.events.map((event) => ({ ...event, id: `${process.pid} ${event.id}` })),
      })),
    })),
    check: async ({ store, spawn }) => {
      const ids = Array.from({ length: 30 }, (_, n) => `e-${String(n).padStart(2, "0")}`);
      const children = await Promise.all([ids, ids].map((each) => spawn("event-stores/store", { ids: each })));
      await Promise.all(children.map((child) => child.hear("ready")));
      for (const child of children) child.say("go");
      await Promise.all(children.map((child) => child.result()));
      assert.deepEqual(idsOf(await (await eventsOf(store)).getEventsFor("s")), ids);
    },
  },
  {
    id: "event-stores/store/mints",
    promise: "Events without an id get one each, ascending in their order, and are told of them.",
    tooth: eventStoresThat("mints ids that go backwards", ({ storeEvents }) => ({
      storeEvents: (id, events, op) =>
        storeEvents(
          id,
          events.map((event, n) => ({ ...event, id: event.id ?? `z${String(999 - n).padStart(3, "0")}` })),
          op,
        ),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const given = Array.from({ length: 50 }, (_, n) => ({ type: "deposited", data: n }));
      const { ids, positions } = await events.storeEvents("s", given);
      const found = await events.getEventsFor("s");
      assert.deepEqual(
        found.map(({ data }) => data),
        given.map(({ data }) => data),
      );
      assert.deepEqual([ids, positions], [idsOf(found), found.map(({ position }) => position)]);
      assert.ok(positions.every((position, n) => position > (positions[n - 1] ?? START)));
    },
  },
  {
    id: "event-stores/ids/longest",
    promise: "Event ids of 200 bytes are told apart by their last one, and bound what is read.",
    tooth: givesEvents("tells ids apart by their first hundred bytes", (events) => [
      ...new Map(events.map((event) => [event.id.slice(0, 49), event])).values(),
    ]),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const long = "\u{1f30a}".repeat(49);
      const ids = ["    ", "''\"\"", "AAAA", "aaaa", "\u{1f30a}", "\u{1f30b}"].map((end) => `${long}${end}`);
      await events.storeEvents("s", eventsWith(...ids.toReversed()));
      assert.deepEqual(idsOf(await events.getEventsFor("s")), ids);
      const [, second, , fourth] = ids;
      const between = events.getEventStreamFor("s", { sinceId: second, untilId: fourth });
      assert.deepEqual(await streamed(between), ids.slice(2, 4));
    },
  },
];

const packLaws: readonly Law[] = [
  {
    id: "event-stores/packs/none",
    promise: "Where there is no pack, `getEventPackFor` gives undefined; an empty pack is one.",
    tooth: eventStoresThat("gives an empty pack where there is none", ({ getEventPackFor }) => ({
      getEventPackFor: async (id, vector, op) => (await getEventPackFor(id, vector, op)) ?? [],
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEventPack("s", "a:1", []);
      assert.deepEqual(await events.getEventPackFor("s", "a:1"), []);
      assert.equal(await events.getEventPackFor("s", "a:2"), undefined);
      assert.equal(await events.getEventPackFor("t", "a:1"), undefined);
      assert.equal(await (await eventsOf(store, "order")).getEventPackFor("s", "a:1"), undefined);
    },
  },
  {
    id: "event-stores/packs/by-vector",
    promise: "A pack is known by its actor and its vector, written in any way, and is no part of the log.",
    tooth: mistakes("keeps one pack of each actor", { vector: () => "a:1" }),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      for (const vector of ["a:1", "a:1;b:2", "A:1", ""]) {
        await events.storeEventPack("s", vector, [{ id: "e", type: "deposited", data: vector }]);
      }
      const packed = async (vector: string | Readonly<Record<string, number>>): Promise<unknown> =>
        (await events.getEventPackFor("s", vector))?.[0]?.data;
      assert.deepEqual(await Promise.all(["a:1", "b:2;a:1", { A: 1, z: 0 }, ""].map(packed)), [
        ...["a:1", "a:1;b:2", "A:1", ""],
      ]);
      assert.deepEqual(await events.getEventsFor("s"), []);
    },
  },
  {
    id: "event-stores/packs/upsert",
    promise: "A pack that is stored again replaces the one of before.",
    tooth: packsThat("keeps the first pack", (port) => ({
      store: async (actor, vector, events, op) => {
        if ((await port.get(actor, vector, op)) === undefined) await port.store(actor, vector, events, op);
      },
    })),
    check: async ({ store, open }) => {
      const [events, other] = [await eventsOf(store), await eventsOf(await open())];
      await events.storeEventPack("s", "a:1", eventsWith("a", "b"));
      await other.storeEventPack("s", "a:1", eventsWith("c"));
      assert.deepEqual(idsOf((await events.getEventPackFor("s", "a:1")) ?? []), ["c"]);
      await events.storeEventPack("s", "a:1", []);
      assert.deepEqual(await other.getEventPackFor("s", "a:1"), []);
    },
  },
  {
    id: "event-stores/packs/order",
    promise: "A pack holds each event once, the first of an id, ascending by the bytes of their ids.",
    tooth: eventStoresThat("hands packs out backwards", ({ getEventPackFor }) => ({
      getEventPackFor: async (id, vector, op) => (await getEventPackFor(id, vector, op))?.toReversed(),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const given = [...eventsWith("b", "Z", "a"), { id: "b", type: "other", data: "late" }, ...eventsWith("é")];
      await events.storeEventPack("s", "a:1", given);
      const pack = await events.getEventPackFor("s", "a:1");
      assert.deepEqual(
        pack,
        eventsWith("Z", "a", "b", "é").map((event) => ({ ...event, metadata: {} })),
      );
    },
  },
  {
    id: "event-stores/packs/refused",
    promise: "A pack with an event that has no id, or data that JSON cannot hold, is refused and changes nothing.",
    tooth: eventStoresThat("leaves out of a pack what it cannot hold", ({ storeEventPack }) => ({
      storeEventPack: (id, vector, events, op) =>
        storeEventPack(
          id,
          vector,
          events.filter((event) => typeof event.data !== "bigint" && event.id !== undefined),
          op,
        ),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      await events.storeEventPack("s", "a:1", eventsWith("a"));
      const storePack = (pack: unknown): Promise<void> => events.storeEventPack("s", "a:1", pack as never);
      await refuses("INVALID_EVENT", storePack([{ id: "b", type: "deposited", data: 1n }]));
      await refuses("INVALID_ARGUMENT", storePack([{ type: "deposited", data: 1 }]));
      for (const none of [{}, [null], ["b"]]) await refuses("INVALID_ARGUMENT", storePack(none));
      await refuses(
        "LIMIT_EXCEEDED",
        storePack(Array.from({ length: 10_001 }, () => ({ id: "b", type: "t", data: 1 }))),
      );
      assert.deepEqual(idsOf((await events.getEventPackFor("s", "a:1")) ?? []), ["a"]);
    },
  },
  {
    id: "event-stores/packs/large",
    promise: "Packs of 10 000 events, and of 20 megabytes, come back whole.",
    tooth: packsThat("keeps the first megabytes of a pack", (port) => ({
      store: (actor, vector, events, op) => port.store(actor, vector, events.length > 2_000_000 ? "[]" : events, op),
    })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      const many = eventsWith(...Array.from({ length: 10_000 }, (_, n) => `e-${String(n).padStart(5, "0")}`));
      await events.storeEventPack("s", "a:1", many);
      const data = "\u0000é".repeat(125_000);
      const heavy = Array.from({ length: 20 }, (_, n) => ({ id: `h-${n + 10}`, type: "deposited", data }));
      await events.storeEventPack("s", "a:2", heavy);
      assert.deepEqual(idsOf((await events.getEventPackFor("s", "a:1")) ?? []), idsOf(many));
      const pack = (await events.getEventPackFor("s", "a:2")) ?? [];
      assert.ok(pack.length === 20 && pack.every((event) => event.data === data), "The pack comes back whole.");
    },
  },
  {
    id: "event-stores/create/twice",
    promise: "A second `create` of a type is a view of the same events and packs, as is that of another store.",
    tooth: {
      lie: "begins anew with every create",
      store: (real) => {
        let made = 0;
        return override(real, () => ({
          eventStores: { create: (type, options) => real.eventStores.create(`${type}${++made}`, options) },
        }));
      },
    },
    check: async ({ store, open }) => {
      const other = await open();
      const [first, second, third] = await Promise.all([store, store, other].map((each) => eventsOf(each)));
      await first?.storeEvents("s", eventsWith("a"));
      await second?.storeEventPack("s", "a:1", eventsWith("a"));
      for (const events of [first, second, third]) {
        assert.deepEqual(idsOf((await events?.getEventsFor("s")) ?? []), ["a"]);
        assert.deepEqual(idsOf((await events?.getEventPackFor("s", "a:1")) ?? []), ["a"]);
      }
    },
  },
];

export const eventStoreLaws: readonly Law[] = [...readLaws, ...streamLaws, ...storeLaws, ...packLaws];

function at(time: number): Date {
  return new Date(SOME_TIME + time);
}

function dated(...given: readonly (readonly [id: string, time: number])[]): readonly EventInput[] {
  return given.map(([id, time]) => ({ id, type: "deposited", data: null, occurredOn: at(time) }));
}

async function streamed(stream: EventStream): Promise<readonly string[]> {
  return idsOf(await collect(stream));
}

async function fill<Tx>(store: Store<Tx>, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, n) => `e-${String(n).padStart(5, "0")}`);
  await (await eventsOf(store)).storeEvents("s", eventsWith(...ids));
}

async function checkBrokenOff<Tx>(store: Store<Tx>): Promise<void> {
  await fill(store, 40);
  const events = await eventsOf(store);
  for (let n = 0; n < 30; n++) {
    events.getEventStreamFor("s");
    events.getEventStreamFor("s")[Symbol.asyncIterator]();
    const first = (async () => {
      for await (const { id } of events.getEventStreamFor("s")) return id;
      return undefined;
    })();
    const begun = fulfils(promptly("A stream begins", first), "Broken-off streams cost nothing");
    assert.equal(await begun, "e-00000");
  }
  const storing = promptly("Storing after broken-off streams", events.storeEvents("s", eventsWith(ALICE)));
  await fulfils(storing, "Broken-off streams cost nothing");
}

function fewConnections<Tx>({ database, open }: Site<Tx>): Promise<Store<Tx>> {
  return open({}, () => database.adapter({ connections: 2, waitMs: 10_000 }));
}
