import process from "node:process";
import { type AggregateInput, LIMITS, type RecordedEvent, type Serializer, type Store } from "@tidemark/core";
import { account, deposit, leavesTheLog, readLog } from "../events.ts";
import { assert, collect, fulfils, refuses } from "../expect.ts";
import { type Law, override } from "../law.ts";
import { onEvents, onRows } from "../lies/append.ts";
import {
  cleansNames,
  dropsWhatJsonCannotHold,
  encodesLate,
  keepsKnownMetadata,
  keepsLocalTime,
  losesProto,
  onData,
  onNames,
  onValues,
  passesSerializerBy,
  sharesDecodedEvents,
  skipsTheUnreadable,
} from "../lies/values.ts";

export const valueLaws: readonly Law[] = [
  {
    id: "values/json/round-trip",
    promise: "Every JSON value comes back deep-equal, wherever it is read.",
    check: ({ store }) =>
      comesBack(store, {
        "an empty object": {},
        "an empty array": [],
        "an empty string": "",
        null: null,
        false: false,
        "a number": 42,
        "a text": "text",
        "empty things inside": { object: {}, array: [], string: "", null: null, nested: [[], [{}], [null, ""]] },
        "an array of all kinds": [1, "1", true, null, [1], { one: 1 }],
        "JSON inside a string": JSON.stringify({ a: ['"', "\\"] }),
        "a string that looks like a date": "2024-02-30T25:61:00.000Z",
      }),
    tooth: {
      lie: "takes an empty string for null",
      adapter: (real) => onValues(real, (value) => (value === "" ? null : value)),
    },
  },
  {
    id: "values/json/round-trip/nested",
    promise: "Arrays and objects come back at every depth up to the limit; what is nested deeper is refused.",
    check: async ({ store }) => {
      await comesBack(store, {
        "arrays, 100 deep": nested(100, (inner) => [inner]),
        "objects, 100 deep": nested(100, (inner) => ({ inner })),
        "as deep as allowed": nested(LIMITS.nesting, (inner) => ({ inner })),
      });
      await leavesTheLog(store, async () => {
        const data = nested(LIMITS.nesting + 1, (inner) => [inner]);
        const { details } = await refuses("LIMIT_EXCEEDED", append(store, "deeper", data));
        assert.deepEqual([details.limit, details.allowed], ["nesting", LIMITS.nesting]);
      });
    },
    tooth: {
      lie: "keeps 64 levels",
      adapter: (real) => onData(real, (data) => (/[[{]{64}|({"inner":){64}/.test(data) ? "null" : data)),
    },
  },
  {
    id: "values/json/round-trip/large",
    promise: "A value of a megabyte comes back equal, as one string, as many members, and in letters of several bytes.",
    check: ({ store }) =>
      comesBack(store, {
        "a string of 1 MiB": "x".repeat(1024 * 1024),
        "a string of 1 MiB in UTF-8": "🙂".repeat(256 * 1024),
        "100 000 elements": Array.from({ length: 100_000 }, (_, index) => index),
        "20 000 members": Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key ${index}`, { index }])),
      }),
    tooth: {
      lie: "has room for 64 KiB of characters",
      adapter: (real) => onData(real, (data) => (data.length > 65_535 ? "null" : data)),
    },
  },
  {
    id: "values/json/round-trip/keys",
    promise: "Keys of any form come back, such as empty ones, ones with dots and quotes, and `__proto__`.",
    check: ({ store }) =>
      comesBack(store, {
        "hostile keys": JSON.parse(
          '{"":1,"a.b":2,"\\"":3,"\'":4,"$where":5,"\\\\":6,"a b":7,"\\u0000":8,"\\ud800":9,"1":10}',
        ),
        "members called __proto__": JSON.parse('{"__proto__":{"polluted":true},"x":{"__proto__":null}}'),
        "names of members": JSON.parse('{"constructor":1,"toString":2,"hasOwnProperty":3,"length":4,"then":5}'),
        "keys that differ in case only": { key: 1, Key: 2, KEY: 3 },
        "keys that look alike": { "\u00e9": 1, "e\u0301": 2 },
      }),
    tooth: { lie: "loses members called `__proto__`", adapter: losesProto },
  },
  {
    id: "values/json/round-trip/unicode",
    promise: "Text comes back code unit by code unit: of all planes, not normalised, with its control characters.",
    check: ({ store }) =>
      comesBack(store, {
        ASCII: String.fromCodePoint(...Array.from({ length: 127 }, (_, index) => index + 1)),
        "planes 0 to 16": Array.from({ length: 17 }, (_, plane) => String.fromCodePoint(plane * 0x10000 + 0x41)),
        "the last code points": "\uFFFD\uFFFE\uFFFF\u{10FFFE}\u{10FFFF}",
        "composed and decomposed": ["\u00e9", "e\u0301", "\uFB00", "\u212B"],
        "joined emoji": "👨‍👩‍👧‍👦🏳️‍🌈",
        "both directions": "abc \u202E שלום \u202C مرحبا",
        "line separators": "\r\n\n\r\u2028\u2029\u0085\uFEFF",
      }),
    tooth: { lie: "normalises text", adapter: (real) => onData(real, (data) => data.normalize("NFC")) },
  },
  {
    id: "values/json/numbers",
    promise: "Numbers come back equal, to the last bit; -0 comes back as 0.",
    check: async ({ store }) => {
      const numbers = [
        0,
        1,
        -1,
        2 ** 53 - 1,
        -(2 ** 53 - 1),
        2 ** 53 + 2,
        1e308,
        -1e308,
        Number.MAX_VALUE,
        5e-324,
        0.1 + 0.2,
        1e21,
        1e-7,
        1.5,
        123456789012345680000,
      ];
      await comesBack(store, {
        "numbers in an array": numbers,
        ...Object.fromEntries(numbers.map((n) => [`the number ${n}`, n])),
      });
      await append(store, "minus zero", [-0, { zero: -0 }]);
      assert.deepEqual(await dataOf(store, "minus zero"), [0, { zero: 0 }]);
    },
    tooth: {
      lie: "keeps numbers in 32 bits",
      adapter: (real) => onValues(real, (value) => (typeof value === "number" ? Math.fround(value) : value)),
    },
  },
  {
    id: "values/json/nul-in-data",
    promise: "NUL characters and lone surrogates inside data come back.",
    check: ({ store }) =>
      comesBack(store, {
        NUL: "a\0b",
        "only NUL": "\0",
        "a lone high surrogate": "a\uD800b",
        "a lone low surrogate": "\uDC00",
        "surrogates in the wrong order": "\uDC00\uD83D",
        "in keys and arrays": JSON.parse('{"\\u0000":["\\u0000","\\udfff"]}'),
        "written out": "\\u0000 \\ud800",
      }),
    tooth: {
      lie: "leaves NUL out",
      adapter: (real) => onData(real, (data) => data.replaceAll(String.raw`\u0000`, "")),
    },
  },
  {
    id: "values/json/refused",
    promise: "What JSON cannot hold is refused as INVALID_EVENT with the path to it, and nothing is written.",
    check: async ({ store }) => {
      const cycle: Record<string, unknown> = { list: [] };
      cycle["list"] = [cycle];
      const refused: readonly (readonly [string, unknown])[] = [
        ["$", Number.NaN],
        ["$.amount", { amount: Number.POSITIVE_INFINITY }],
        ["$[1].amount", [0, { amount: Number.NEGATIVE_INFINITY }]],
        ["$", 1n],
        ["$.a.b", { a: { b: 1n } }],
        ["$", () => 1],
        ["$.call", { call: assert.ok }],
        ["$", Symbol("s")],
        ["$[0]", [Symbol.iterator]],
        ["$", undefined],
        ["$[1]", [1, undefined]],
        ["$.list[2]", { list: [1, 2, undefined] }],
        ["$[0]", Array.from({ length: 1 })],
        ["$.list[0]", cycle],
        ['$["a b"]["c.d"]', { "a b": { "c.d": Number.NaN } }],
        ["$.at", { at: new Date(Number.NaN) }],
        ["$", new Map([["a", 1]])],
        ["$.tags", { tags: new Set(["a"]) }],
        ["$.bytes", { bytes: new Uint8Array(2) }],
        ["$.pattern", { pattern: /x/ }],
      ];
      await leavesTheLog(store, async () => {
        for (const [path, data] of refused) {
          const error = await refuses("INVALID_EVENT", append(store, "refused", data));
          assert.equal(error.details.path, path);
          const whole = [
            { type: "noted", data: 1 },
            { type: "noted", data },
          ];
          await refuses("INVALID_EVENT", store.append({ aggregate: account("refused"), events: whole }));
        }
        const metadata = { tags: [Number.NaN] };
        const error = await refuses(
          "INVALID_EVENT",
          store.append({ aggregate: account("a"), events: [{ type: "t", data: 1, metadata }] }),
        );
        assert.equal(error.details.path, "$.tags[0]");
      });
    },
    tooth: { lie: "drops what JSON cannot hold", store: dropsWhatJsonCannotHold },
  },
  {
    id: "values/json/twice-but-no-cycle",
    promise: "One object in two places is no cycle: it comes back in both.",
    check: async ({ store }) => {
      const shared = { x: [1] };
      await fulfils(comesBack(store, { "one object twice": { a: shared, b: [shared, shared] } }), "it is no cycle");
    },
    tooth: {
      lie: "stores what it has seen as null",
      adapter: (real) => {
        const seen = new Set<string>();
        return onValues(real, (value) => {
          const text = JSON.stringify(value);
          if (typeof value !== "object" || value === null || !seen.has(text)) return (seen.add(text), value);
          return null;
        });
      },
    },
  },
  {
    id: "values/json/own-form",
    promise: "A value that brings its own JSON form is stored in that form, and an undefined property is left out.",
    check: async ({ store }) => {
      const at = new Date(1_700_000_000_123);
      const money = { cents: 250, toJSON: () => ({ amount: "2.50" }) };
      await append(store, "own form", { at, money, list: [at], nothing: undefined });
      const expected = { at: at.toISOString(), money: { amount: "2.50" }, list: [at.toISOString()] };
      assert.deepEqual(await dataOf(store, "own form"), expected);
    },
    tooth: {
      lie: "drops milliseconds of dates in data",
      adapter: (real) => onData(real, (data) => data.replaceAll(/\.\d{3}Z/g, "Z")),
    },
  },
  {
    id: "values/json/taken-at-once",
    promise: "What the caller does to an event after the call changes nothing of what is stored.",
    check: async ({ store }) => {
      const data = { list: [1] };
      const events = [{ type: "noted", data }];
      const appending = store.append({ aggregate: account("a"), events });
      data.list.push(2);
      events.push({ type: "noted", data });
      await appending;
      const stored = await collect(store.readAggregate(account("a")));
      assert.deepEqual(
        stored.map((event) => event.data),
        [{ list: [1] }],
      );
    },
    tooth: { lie: "encodes an event some time after the call", store: encodesLate },
  },
  {
    id: "values/json/own-copy",
    promise: "Every reader gets an event of its own: what one does to it is seen by no other.",
    check: async ({ store }) => {
      await append(store, "a", { list: [1] });
      const [first] = await collect(store.readAggregate(account("a")));
      spoil(first);
      assert.deepEqual(await dataOf(store, "a"), { list: [1] });
      const { events } = await store.readAll();
      assert.deepEqual(
        events.map((event) => [event.data, event.metadata, event.type]),
        [[{ list: [1] }, {}, "noted"]],
      );
    },
    tooth: { lie: "decodes an event once for all", store: sharesDecodedEvents },
  },
  {
    id: "values/ids/bytes",
    promise: "Contexts, types and ids are compared by their bytes: neither case, nor accents, nor spaces are folded.",
    check: async ({ store }) => {
      const aggregates = LOOKALIKES.flatMap((name): AggregateInput[] => [
        { type: "account", id: name },
        { type: name, id: "fixed" },
        { context: name, type: "account", id: "fixed" },
      ]);
      for (const [index, aggregate] of aggregates.entries()) {
        const append = store.append({ aggregate, events: [{ id: "e", type: "noted", data: index }], expected: "none" });
        await fulfils(append, `${JSON.stringify(aggregate)} is an aggregate of its own`);
      }
      for (const [index, aggregate] of aggregates.entries()) {
        const events = await collect(store.readAggregate(aggregate));
        assert.deepEqual(
          events.map((event) => event.data),
          [index],
        );
      }
    },
    tooth: { lie: "ignores case", adapter: (real) => onNames(real, (name) => name.toLowerCase()) },
  },
  {
    id: "values/ids/bytes/events",
    promise: "Event ids and event types are compared by their bytes.",
    check: async ({ store }) => {
      const events = LOOKALIKES.map((name, index) => ({ id: name, type: name, data: index }));
      for (const event of events)
        await fulfils(store.append({ aggregate: account("a"), events: [event] }), "it is another id");
      assert.deepEqual(
        (await collect(store.readAggregate(account("a")))).map(({ id }) => id),
        LOOKALIKES,
      );
      for (const [index, name] of LOOKALIKES.entries()) {
        const page = await store.readAll({ scope: { eventTypes: [name] } });
        assert.deepEqual(
          page.events.map((event) => event.data),
          [index],
        );
      }
    },
    tooth: { lie: "ignores spaces at the end", adapter: (real) => onNames(real, (name) => name.trimEnd()) },
  },
  {
    id: "values/ids/bytes/scope",
    promise: "The contexts and aggregate types of a scope are compared by their bytes.",
    check: async ({ store }) => {
      for (const [index, name] of LOOKALIKES.entries()) {
        const aggregate = { context: name, type: name, id: "a" };
        await store.append({ aggregate, events: [{ type: "noted", data: index }] });
      }
      for (const [index, name] of LOOKALIKES.entries()) {
        for (const scope of [{ contexts: [name] }, { aggregateTypes: [name] }]) {
          assert.deepEqual(
            (await readLog(store, { scope })).events.map((event) => event.data),
            [index],
          );
        }
      }
    },
    tooth: {
      lie: "reads scopes without looking at case",
      adapter: (real) =>
        override(real, () => ({
          readAll: async (query, op) => {
            const { contexts, aggregateTypes } = query.scope;
            const folded = (names: readonly string[], name: string): boolean =>
              names.length === 0 || names.some((each) => each.toLowerCase() === name.toLowerCase());
            const page = await real.readAll(
              { ...query, scope: { ...query.scope, contexts: [], aggregateTypes: [] } },
              op,
            );
            const events = page.events.filter(
              ({ ref }) => folded(contexts, ref.context) && folded(aggregateTypes, ref.type),
            );
            return { ...page, events };
          },
        })),
    },
  },
  {
    id: "values/ids/bytes/order",
    promise: "Names are sorted by their bytes: `Z` before `a`, and the highest planes of Unicode last.",
    check: async ({ store }) => {
      const sorted = [
        "B",
        "Z",
        "_",
        "a",
        "a ",
        "a!",
        "aa",
        "b",
        "e\u0301",
        "z",
        "é",
        "\uD7FF",
        "\uE000",
        "\uFFFD",
        "\u{10000}",
        "\u{10FFFF}",
      ];
      for (const name of sorted.toReversed()) await store.consumers.declare(name, { kind: "projector" });
      assert.deepEqual(
        (await collect(store.consumers.list())).map((consumer) => consumer.name),
        sorted,
      );
    },
    tooth: {
      lie: "sorts names by their code units",
      adapter: (real) =>
        override(real, () => ({
          consumers: override(real.consumers, (records) => ({
            list: async (after, limit, op) =>
              (await records.list(after, limit, op)).toSorted((a, b) => (a.key.name < b.key.name ? -1 : 1)),
          })),
        })),
    },
  },
  {
    id: "values/ids/hostile",
    promise: "Quotes, wildcards, escapes, control characters and emoji work in every name, and touch no other row.",
    check: async ({ store }) => {
      await store.append(deposit("bystander", 2));
      for (const name of HOSTILE) {
        const aggregate = { context: name, type: name, id: name };
        const request = { aggregate, events: [{ id: name, type: name, data: name, metadata: { [name]: name } }] };
        const result = await fulfils(store.append(request), `${JSON.stringify(name)} works`);
        assert.deepEqual(result.aggregate, aggregate);
        const events = await collect(store.readAggregate(aggregate));
        assert.deepEqual(events.map(summary), [
          { aggregate, id: name, type: name, data: name, metadata: { [name]: name } },
        ]);
        const scope = { contexts: [name], aggregateTypes: [name], eventTypes: [name] };
        assert.deepEqual((await readLog(store, { scope })).events, events);
        assert.equal((await fulfils(store.append(request), "the same append again succeeds")).repeated, true);
      }
      assert.equal((await collect(store.readAggregate(account("bystander")))).length, 2);
      assert.equal((await readLog(store)).events.length, HOSTILE.length + 2);
    },
    tooth: { lie: "escapes quotes twice", adapter: (real) => onNames(real, (name) => name.replaceAll("'", "''")) },
  },
  {
    id: "values/ids/hostile/consumers",
    promise:
      "Quotes, wildcards, escapes, control characters and emoji work in names of consumers, and touch no other one.",
    check: async ({ store }) => {
      for (const name of HOSTILE)
        await fulfils(store.consumers.declare(name, { kind: "projector" }), `${JSON.stringify(name)} works`);
      for (const name of HOSTILE) {
        await store.consumers.disable(name);
        assert.equal((await store.consumers.get(name))?.name, name);
        const disabled = (await collect(store.consumers.list())).filter((consumer) => !consumer.enabled);
        assert.deepEqual(
          disabled.map((consumer) => consumer.name),
          [name],
        );
        await store.consumers.delete(name);
      }
      assert.deepEqual(await collect(store.consumers.list()), []);
    },
    tooth: {
      lie: "takes the percent sign for a wildcard",
      adapter: (real) =>
        override(real, () => ({
          consumers: override(real.consumers, (records) => ({
            setEnabled: async (key, enabled, op) => {
              const all = key.name.includes("%") ? await records.list(undefined, 100, op) : [{ key }];
              for (const row of all) await records.setEnabled(row.key, enabled, op);
            },
          })),
        })),
    },
  },
  {
    id: "values/ids/longest",
    promise: "Names as long as allowed work in full, counted in bytes of UTF-8, and are told apart by their last byte.",
    check: async ({ store }) => {
      for (const letter of ["x", "é", "🙂"]) {
        for (const end of ["1", "2"]) {
          const long = (limit: number): string =>
            `${letter.repeat(Math.floor((limit - 1) / Buffer.byteLength(letter)))}${end}`;
          const aggregate = {
            context: long(LIMITS.contextBytes),
            type: long(LIMITS.aggregateTypeBytes),
            id: long(LIMITS.aggregateIdBytes),
          };
          const event = { id: long(LIMITS.eventIdBytes), type: long(LIMITS.eventTypeBytes), data: end };
          await fulfils(
            store.append({ aggregate, events: [event], expected: "none" }),
            "names of this length are allowed",
          );
          const events = await collect(store.readAggregate(aggregate));
          assert.deepEqual(events.map(summary), [{ aggregate, ...event, metadata: {} }]);
          const consumer = long(LIMITS.consumerNameBytes);
          await fulfils(store.consumers.declare(consumer, { kind: "projector" }), "names of this length are allowed");
          assert.equal((await store.consumers.get(consumer))?.name, consumer);
        }
      }
      assert.equal((await collect(store.consumers.list())).length, 6);
    },
    tooth: { lie: "keeps 255 characters of a name", adapter: (real) => onNames(real, (name) => name.slice(0, 255)) },
  },
  {
    id: "values/ids/unstorable",
    promise: "NUL characters and lone surrogates are refused in every name, and nothing is written.",
    check: async ({ store }) => {
      for (const name of UNSTORABLE) {
        const event = { type: "noted", data: 1 };
        const refused: readonly (readonly [string, AggregateInput, object])[] = [
          ["aggregate.id", account(name), event],
          ["aggregate.type", { type: name, id: "a" }, event],
          ["aggregate.context", { ...account("a"), context: name }, event],
          ["event.id", account("a"), { ...event, id: name }],
          ["event.type", account("a"), { ...event, type: name }],
        ];
        for (const [argument, aggregate, more] of refused) {
          const error = await refuses("INVALID_ARGUMENT", store.append({ aggregate, events: [{ ...event, ...more }] }));
          assert.equal(error.details.argument, argument);
        }
        await refuses("INVALID_ARGUMENT", store.readAll({ scope: { eventTypes: [name] } }));
        await refuses("INVALID_ARGUMENT", collect(store.readAggregate(account(name))));
        await refuses("INVALID_ARGUMENT", (async () => store.consumers.declare(name, { kind: "projector" }))());
      }
      assert.equal(await store.head(), 0n);
      assert.deepEqual(await collect(store.consumers.list()), []);
    },
    tooth: { lie: "leaves out of names what it does not like", store: cleansNames },
  },
  {
    id: "values/time/utc",
    promise: "Times mean the same moment in every time zone of the process.",
    check: async ({ store }) => {
      const moments = [...MOMENTS, Date.now()];
      await inTimeZone(FAR_EAST, () =>
        store.append({
          aggregate: account("a"),
          events: moments.map((time) => ({ type: "struck", data: time, occurredOn: new Date(time) })),
        }),
      );
      for (const zone of [FAR_WEST, FAR_EAST, "UTC"]) {
        const events = await inTimeZone(zone, () => collect(store.readAggregate(account("a"))));
        assert.deepEqual(
          events.map((event) => event.occurredOn.getTime()),
          moments,
        );
        const page = await inTimeZone(zone, () => store.readAll());
        assert.deepEqual(page.events, events);
      }
    },
    tooth: { lie: "keeps times as the clock on the wall shows them", adapter: keepsLocalTime },
  },
  {
    id: "values/time/utc/processes",
    promise: "Times mean the same moment in processes of different time zones.",
    when: { shared: true },
    check: async ({ store, spawn }) => {
      const written: number[] = [];
      for (const [index, timeZone] of [FAR_EAST, FAR_WEST, "UTC"].entries()) {
        const occurredOn = Date.UTC(2024, 6, 1) + index;
        written.push(occurredOn);
        const child = await spawn("values/time", { timeZone, occurredOn });
        assert.deepEqual(await child.result(), written);
        const events = await collect(store.readAggregate(account("clock")));
        assert.deepEqual(
          events.map((event) => event.occurredOn.getTime()),
          written,
        );
      }
    },
    tooth: { lie: "keeps times as the clock on the wall shows them", adapter: keepsLocalTime },
  },
  {
    id: "values/time/millisecond",
    promise: "When an event occurred comes back to the millisecond, before 1970 and far in the future too.",
    check: async ({ store }) => {
      const moments = [0, 1, 999, -1, -999, 1_700_000_000_123, ...MOMENTS];
      for (const time of moments) {
        const events = [{ type: "struck", data: null, occurredOn: new Date(time) }];
        await fulfils(store.append({ aggregate: account("a"), events }), `${time} is a time`);
      }
      const events = await collect(store.readAggregate(account("a")));
      assert.deepEqual(
        events.map((event) => event.occurredOn.getTime()),
        moments,
      );
    },
    tooth: {
      lie: "keeps times to the second",
      adapter: (real) =>
        onEvents(real, (event) => ({ ...event, occurredOn: Math.floor(event.occurredOn / 1000) * 1000 })),
    },
  },
  {
    id: "values/time/occurred-now",
    promise: "An event that does not say when it occurred did so when it was appended, by the writer's clock.",
    check: async ({ store }) => {
      const before = Date.now();
      await store.appendAll([deposit("a", 2), deposit("b")]);
      const after = Date.now();
      const times = (await readLog(store)).events.map((event) => event.occurredOn.getTime());
      assert.equal(times.length, 3);
      for (const time of times)
        assert.ok(before <= time && time <= after, `${time} is not between ${before} and ${after}.`);
    },
    tooth: {
      lie: "does not keep when an event occurred",
      adapter: (real) => onEvents(real, (event) => ({ ...event, occurredOn: 0 })),
    },
  },
  {
    id: "values/time/recorded",
    promise:
      "When an event was recorded is a moment by the database's clock, whatever the time zone and the writer says.",
    check: async ({ store }) => {
      const occurredOn = new Date(0);
      await inTimeZone(FAR_EAST, () =>
        store.append({ aggregate: account("a"), events: [{ type: "struck", data: 1, occurredOn }] }),
      );
      for (const zone of [FAR_EAST, FAR_WEST]) {
        const [event] = await inTimeZone(zone, () => collect(store.readAggregate(account("a"))));
        // Clocks of two machines may differ, but not by as much as two time zones do.
        const difference = Math.abs((event?.recordedAt.getTime() ?? Number.NaN) - Date.now());
        assert.ok(difference < 30 * 60_000, `Recorded ${difference} ms from now.`);
      }
    },
    tooth: {
      lie: "records when the writer says that it occurred",
      adapter: (real) => onRows(real, (row) => ({ ...row, recordedAt: row.occurredOn })),
    },
  },
  {
    id: "values/metadata",
    promise: "Correlation id, causation id, created-by and free metadata come back as given, for each event its own.",
    check: async ({ store }) => {
      const all = [
        { correlationId: "c-1", causationId: "e-0", createdBy: "user 7" },
        { correlationId: "", tenant: { id: 3, tags: ["x", null] }, "a.b": true },
        { createdBy: "\0\uD800 é", createdByType: "robot", nested: { deep: [{}] } },
        {},
      ];
      const events = all.map((metadata, index) => ({ type: "noted", data: index, metadata }));
      await store.append({ aggregate: account("a"), events });
      await store.transaction(async (_tx, inside) => {
        await inside.append({ aggregate: account("b"), events });
        assert.deepEqual(
          (await collect(inside.readAggregate(account("b")))).map((event) => event.metadata),
          all,
        );
      });
      assert.deepEqual(
        (await collect(store.readAggregate(account("a")))).map((event) => event.metadata),
        all,
      );
      assert.deepEqual(
        (await readLog(store)).events.map((event) => event.metadata),
        [...all, ...all],
      );
    },
    tooth: { lie: "keeps of metadata what it has columns for", adapter: keepsKnownMetadata },
  },
  {
    id: "values/metadata/none",
    promise: "An event without metadata comes back with an empty object, and undefined members are left out.",
    check: async ({ store }) => {
      const events = [
        { type: "noted", data: 1 },
        { type: "noted", data: 2, metadata: { createdBy: undefined, tenant: 1 } },
      ];
      await store.append({ aggregate: account("a"), events });
      assert.deepEqual(
        (await collect(store.readAggregate(account("a")))).map((event) => event.metadata),
        [{}, { tenant: 1 }],
      );
    },
    tooth: {
      lie: "fills in a creator",
      adapter: (real) =>
        onEvents(real, (event) => ({ ...event, metadata: event.metadata.replace("{}", '{"createdBy":"nobody"}') })),
    },
  },
  {
    id: "values/serializer",
    promise: "With a serializer, data and metadata are stored in its form and come back in the application's.",
    check: async ({ store, open }) => {
      const mapping = await open({ serializer: moneySerializer });
      await mapping.append({
        aggregate: account("a"),
        events: [{ type: "paid", data: new Money(250n), metadata: { createdBy: "me" } }],
      });
      const [event] = await collect(mapping.readAggregate(account("a")));
      assert.ok(
        event?.data instanceof Money && event.data.cents === 250n,
        "The data did not come back in the application's form.",
      );
      assert.deepEqual(event.metadata, { createdBy: "ME" });
      assert.deepEqual(
        (await collect(store.readAggregate(account("a")))).map((each) => each.data),
        [{ cents: "250" }],
      );
    },
    tooth: { lie: "hands out what was stored", store: passesSerializerBy },
  },
  {
    id: "values/unreadable",
    promise: "An event that cannot be decoded is told as UNREADABLE with its position, never left out.",
    check: async ({ store, open }) => {
      const { positions } = await store.append({
        aggregate: account("a"),
        events: [{ type: "paid", data: { euros: 2 } }],
      });
      const mapping = await open({ serializer: moneySerializer });
      assert.equal((await refuses("UNREADABLE", mapping.readAll())).details.position, positions[0]);
      assert.equal(
        (await refuses("UNREADABLE", collect(mapping.readAggregate(account("a"))))).details.position,
        positions[0],
      );
    },
    tooth: { lie: "leaves out what it cannot decode", store: skipsTheUnreadable },
  },
];

/** Names that are other bytes, though some collation, locale or trimming takes them for the same. */
const LOOKALIKES = [
  "a",
  "A",
  "ä",
  "é",
  "e\u0301",
  "e",
  "ss",
  "ß",
  "a ",
  " a",
  "a\t",
  "ﬀ",
  "ff",
  "İ",
  "i",
  "1",
  "01",
  "1.0",
] as const;

const HOSTILE = [
  "'; drop table event; --",
  '"quoted"',
  "`tick`",
  "a''b",
  "100%_",
  "back\\slash\\",
  "line\nfeed\r\n",
  "\u0001\u001f\u007f",
  "$1 ? :name @p #{x} ${y}",
  "🙂👨‍👩‍👧‍👦",
  "\uFFFD\uFFFF\u{10FFFF}",
  "null",
  "__proto__",
  "../../etc/passwd",
  "a,b;c|d",
] as const;

const UNSTORABLE = ["nul\0", "\0", "high\uD800", "\uDC00low", "\uDC00\uD800"] as const;

/** Auckland and St. John's: far apart, on both sides of UTC, one of them off by half an hour. */
const [FAR_EAST, FAR_WEST] = ["Pacific/Auckland", "America/St_Johns"] as const;

/** Midnight of a new year, both changes of daylight saving in both zones, leap days, and the ends of time as databases know them. */
const MOMENTS = [
  Date.UTC(2024, 0, 1),
  Date.UTC(2024, 2, 10, 5, 30, 0, 1),
  Date.UTC(2024, 3, 6, 14, 0, 0, 999),
  Date.UTC(2024, 8, 28, 14, 30),
  Date.UTC(2024, 10, 3, 4, 30),
  Date.UTC(2024, 1, 29, 23, 59, 59, 999),
  Date.UTC(1969, 11, 31, 23, 59, 59, 999),
  Date.UTC(1900, 1, 28),
  Date.UTC(2038, 0, 19, 3, 14, 8),
  Date.UTC(9999, 11, 31, 23, 59, 59, 999),
] as const;

class Money {
  readonly cents: bigint;

  constructor(cents: bigint) {
    this.cents = cents;
  }
}

/** Maps an application's class, which JSON cannot hold; refuses every other form. */
const moneySerializer: Serializer = {
  toJson: (value, { kind }) =>
    kind === "event-data" && value instanceof Money ? { cents: value.cents.toString() } : value,
  fromJson: (json, { kind }) => {
    if (kind === "event-metadata") return { createdBy: "ME" };
    if (typeof json === "object" && json !== null && "cents" in json) return new Money(BigInt(String(json.cents)));
    throw new RangeError("This is no money.");
  },
};

function append(store: Store<unknown>, id: string, data: unknown): Promise<unknown> {
  return store.append({ aggregate: account(id), events: [{ type: "noted", data }] });
}

async function dataOf(store: Store<unknown>, id: string): Promise<unknown> {
  const [event] = await collect(store.readAggregate(account(id)));
  return event?.data;
}

/** Each value comes back equal from its aggregate, from the log, and inside the transaction that appends it. */
async function comesBack(store: Store<unknown>, cases: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, value] of Object.entries(cases)) {
    await append(store, name, value);
    same(name, await dataOf(store, name), value);
    await store.transaction(async (_tx, inside) => {
      await inside.append({ aggregate: account(name), events: [{ type: "noted", data: value }] });
      for await (const event of inside.readAggregate(account(name))) same(name, event.data, value);
    });
  }
  const { events } = await readLog(store, { limit: 2 });
  const expected = Object.entries(cases).flatMap((each) => [each, each]);
  assert.equal(events.length, expected.length);
  for (const [index, [name, value]] of expected.entries()) same(name, events[index]?.data, value);
}

/** The values may be large: the message does not show them. */
function same(name: string, actual: unknown, expected: unknown): void {
  assert.deepEqual(actual, expected, `The value "${name}" does not come back equal.`);
}

function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = "innermost";
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
}

function summary({ aggregate, id, type, data, metadata }: RecordedEvent): object {
  return { aggregate, id, type, data, metadata };
}

/** Does to an event what careless code may do. */
function spoil(event: RecordedEvent | undefined): void {
  if (event === undefined) return;
  const { data, metadata } = event;
  if (typeof data === "object" && data !== null) Object.assign(data, { list: "spoilt" });
  Object.assign(metadata, { spoilt: true });
  event.occurredOn.setTime(0);
}

async function inTimeZone<T>(zone: string, work: () => Promise<T>): Promise<T> {
  const before = process.env["TZ"];
  process.env["TZ"] = zone;
  try {
    return await work();
  } finally {
    // Assigning `undefined` would set it to the text "undefined".
    if (before === undefined) delete process.env["TZ"];
    else process.env["TZ"] = before;
  }
}
