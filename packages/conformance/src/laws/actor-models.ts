import * as fc from "fast-check";
import { actorsOf, ancestorOf, eventsOf, headsOf, idsOf, momentOf, save, SOME_TIME } from "../actors.ts";
import { assert, collect } from "../expect.ts";
import type { Law } from "../law.ts";
import { actorsThat, writesSnapshots } from "../lies/actors.ts";
import { asksForEvents } from "../lies/event-stores.ts";
import { asksAsOf } from "../lies/identities.ts";
import { forAll } from "../property.ts";

/** Random histories, held against models that look at everything each time. */
export const actorModelLaws: readonly Law[] = [
  {
    id: "actors/model/siblings",
    promise:
      "Whatever up to five nodes store while they are cut off from each other, in whatever order it arrives, the latest " +
      "snapshots and their ancestors are those that a model finds by comparing all with all.",
    tooth: writesSnapshots("keeps snapshots among the latest that others are after", (decided) => ({
      ...decided,
      dominated: [],
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      let actor = 0;
      await forAll(histories(), async ({ steps, order }) => {
        const id = `actor ${actor++}`;
        const stored = new Map<string, string>();
        for (const { vector, ancestor } of arrivals(snapshotsOf(steps), order)) {
          await save(actors, textOf(vector), { _ancestor: ancestor }, id);
          stored.set(textOf(vector), ancestor);
          const heads = (await headsOf(actors, id)).map((head) => head.vector);
          assert.deepEqual(heads, headsIn(stored), `After ${[...stored.keys()].join(" ")}`);
          assert.equal(await ancestorOf(actors, heads, [], id), ancestorIn(stored, heads));
        }
      });
    },
  },
  {
    id: "actors/model/ancestry",
    promise:
      "In any ancestry, with circles and missing links, `findAncestor` finds what a model finds that writes whole chains down.",
    tooth: actorsThat("gives the ancestor of the first two siblings", ({ findAncestor }) => ({
      findAncestor: (actorId, siblings, ancestry, op) => findAncestor(actorId, siblings.slice(0, 2), ancestry, op),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      let actor = 0;
      await forAll(
        ancestries(),
        async ({ ancestors, asked }) => {
          const id = `actor ${actor++}`;
          const stored = new Map<string, string>();
          for (const [n, ancestor] of ancestors.entries()) {
            const [vector, from] = [`n${n}:1`, ancestor === undefined ? "" : `n${ancestor}:1`];
            await save(actors, vector, { _ancestor: from }, id);
            stored.set(vector, from);
          }
          for (const { siblings, excluded } of asked) {
            const [vectors, ancestry] = [siblings, excluded].map((some) => some.map((n) => `n${n}:1`));
            const found = await ancestorOf(actors, vectors ?? [], ancestry, id);
            assert.equal(found, ancestorIn(stored, vectors ?? [], ancestry));
          }
        },
        [UNRELATED],
      );
    },
  },
  {
    id: "identities/model",
    promise:
      "Whatever ids are mapped onto each other and resolved, at every moment they stand for what a model says that they stood for.",
    tooth: asksAsOf("answers for today whatever moment is asked for", () => undefined),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      let run = 0;
      await forAll(
        mappings(),
        async (steps) => {
          const prefix = `${run++}:`;
          const name = (kind: "a" | "s", n: number): string => `${prefix}${kind}${n}`;
          const made: Mapping[] = [];
          const moments: { readonly at: Date; readonly made: number }[] = [];
          for (const { kind, actor, system, pause } of steps) {
            const mapping = { actorId: name("a", actor), systemId: name("s", system) };
            if (kind === "map") {
              await actors.mapIds(mapping.systemId, mapping.actorId);
              made.push(mapping);
            } else {
              const known = made.findLast(({ actorId }) => actorId === mapping.actorId)?.systemId;
              const told = await actors.identities.resolve(mapping.actorId, () => mapping.systemId);
              assert.equal(told, known ?? mapping.systemId);
              if (known === undefined) made.push(mapping);
            }
            if (pause) moments.push({ at: await momentOf(store), made: made.length });
          }
          for (const { at, made: count } of [...moments, { at: undefined, made: made.length }]) {
            const then = made.slice(0, count);
            for (let n = 0; n < IDS; n++) {
              const [actorId, systemId] = [name("a", n), name("s", n)];
              assert.deepEqual(
                [await actors.getSystemId(actorId, at), await actors.getActorId(systemId, at)],
                [
                  then.findLast((mapping) => mapping.actorId === actorId)?.systemId,
                  then.findLast((mapping) => mapping.systemId === systemId)?.actorId,
                ],
                `After ${count} of ${made.length} mappings`,
              );
            }
          }
        },
        [REMAPPED],
      );
    },
  },
  {
    id: "event-stores/model",
    promise:
      "Whatever events are stored in whatever order, a stream has those that a model finds by looking at all of them.",
    tooth: asksForEvents("goes on to the last event", (query) => ({ ...query, until: undefined, to: undefined })),
    check: async ({ store }) => {
      const events = await eventsOf(store);
      let actor = 0;
      await forAll(
        streams(),
        async ({ given, batch, asked }) => {
          const id = `actor ${actor++}`;
          const inputs = given.map(([event, time]) => ({
            id: event,
            type: "deposited",
            data: time,
            occurredOn: new Date(SOME_TIME + time),
          }));
          for (let n = 0; n < inputs.length; n += batch) await events.storeEvents(id, inputs.slice(n, n + batch));
          const sorted = inputs.toSorted((a, b) => Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)));
          const isAfter = (a: string, b: string): boolean => Buffer.compare(Buffer.from(a), Buffer.from(b)) > 0;
          for (const { sinceId, untilId, since, until } of asked) {
            const options = { sinceId, untilId, since: dateOf(since), until: dateOf(until) };
            const expected = sorted.filter(
              (event) =>
                (sinceId === undefined || isAfter(event.id, sinceId)) &&
                (untilId === undefined || !isAfter(event.id, untilId)) &&
                (since === undefined || event.data >= since) &&
                (until === undefined || event.data <= until),
            );
            assert.deepEqual(idsOf(await collect(events.getEventStreamFor(id, options))), idsOf(expected));
          }
        },
        [BEYOND],
      );
    },
  },
];

type Vector = Readonly<Record<string, number>>;

interface Made {
  readonly vector: Vector;
  readonly ancestor: string;
}

interface Step {
  readonly node: number;
  /** Whom the node hears of before it goes on: what was stored by then, however late that arrives in the store. */
  readonly hears: number | undefined;
}

const NODES = 5;

function histories(): fc.Arbitrary<{ readonly steps: readonly Step[]; readonly order: readonly number[] }> {
  const node = fc.nat(NODES - 1);
  const step = fc.record({ node, hears: fc.option(node, { nil: undefined, freq: 2 }) });
  return fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 10, size: "max" }),
    order: fc.array(fc.nat(3), { minLength: 10, maxLength: 10 }),
  });
}

/** What nodes make: each goes on from its own snapshot, or from what it and another one have in common. */
function snapshotsOf(steps: readonly Step[]): readonly Made[] {
  const latest = new Map<number, Made>();
  const made: Made[] = [];
  const stored = new Map<string, string>();
  for (const { node, hears } of steps) {
    const [own, other] = [latest.get(node), hears === undefined ? undefined : latest.get(hears)];
    const known = [own, other].filter((each) => each !== undefined);
    const texts = known.map(({ vector }) => textOf(vector));
    const ancestor = known.length === 2 ? ancestorIn(stored, texts) : texts[0];
    const merged = mergedOf(known.map(({ vector }) => vector));
    const next: Made = { vector: { ...merged, [`n${node}`]: (merged[`n${node}`] ?? 0) + 1 }, ancestor: ancestor ?? "" };
    latest.set(node, next);
    made.push(next);
    stored.set(textOf(next.vector), next.ancestor);
  }
  return made;
}

/** The same, some of them later than others. */
function arrivals(made: readonly Made[], order: readonly number[]): readonly Made[] {
  return made
    .map((each, n) => ({ each, at: n + (order[n] ?? 0) * 2.5 }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ each }) => each);
}

/** Not by the library's own arithmetic, which is what is being tried. */
function mergedOf(vectors: readonly Vector[]): Vector {
  const merged: Record<string, number> = {};
  for (const vector of vectors) {
    for (const [node, count] of Object.entries(vector)) merged[node] = Math.max(count, merged[node] ?? 0);
  }
  return merged;
}

function textOf(vector: Vector): string {
  return Object.entries(vector)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([node, count]) => `${node}:${count}`)
    .join(";");
}

function vectorOf(text: string): Vector {
  const vector: Record<string, number> = {};
  for (const pair of text.split(";")) {
    const [node = "", count] = pair.split(":");
    vector[node] = Number(count);
  }
  return vector;
}

/** Those that no other one is after: all compared with all. */
function headsIn(stored: ReadonlyMap<string, string>): readonly string[] {
  const all = [...stored.keys()].map((text) => ({ text, vector: vectorOf(text) }));
  const reaches = (a: Vector, b: Vector): boolean =>
    Object.entries(b).every(([node, count]) => (a[node] ?? 0) >= count);
  return all
    .filter(({ text, vector }) => !all.some((other) => other.text !== text && reaches(other.vector, vector)))
    .map(({ text }) => text)
    .toSorted();
}

/** The chain of a snapshot, written down as far as it goes. */
function chainIn(stored: ReadonlyMap<string, string>, from: string, ends: readonly string[]): readonly string[] {
  const chain: string[] = [];
  for (let at = from; stored.has(at) && !chain.includes(at) && !ends.includes(at); at = stored.get(at) ?? "")
    chain.push(at);
  return chain;
}

/** Of what is in all chains, the one to which the longest way is the shortest, then all ways together, then by bytes. */
function ancestorIn(
  stored: ReadonlyMap<string, string>,
  siblings: readonly string[],
  ends: readonly string[] = [],
): string | undefined {
  const chains = [...new Set(siblings)].map((sibling) => chainIn(stored, sibling, ends));
  const shared = (chains[0] ?? [])
    .filter((vector) => chains.every((chain) => chain.includes(vector)))
    .map((vector) => ({ vector, ways: chains.map((chain) => chain.indexOf(vector)) }));
  const sum = (ways: readonly number[]): number => ways.reduce((all, way) => all + way, 0);
  return shared.toSorted(
    (a, b) => Math.max(...a.ways) - Math.max(...b.ways) || sum(a.ways) - sum(b.ways) || (a.vector < b.vector ? -1 : 1),
  )[0]?.vector;
}

interface Ancestry {
  readonly ancestors: readonly (number | undefined)[];
  readonly asked: readonly { readonly siblings: readonly number[]; readonly excluded: readonly number[] }[];
}

/** Two that have an ancestor, and a third that shares it with neither. */
const UNRELATED: Ancestry = { ancestors: [undefined, 0, 0, undefined], asked: [{ siblings: [1, 2, 3], excluded: [] }] };

function ancestries(): fc.Arbitrary<Ancestry> {
  // One more than there are: its link is missing.
  const any = fc.nat(8);
  return fc.record({
    ancestors: fc.array(fc.option(any, { nil: undefined, freq: 9 }), { minLength: 8, maxLength: 8 }),
    asked: fc.array(
      fc.record({
        siblings: fc.array(any, { minLength: 1, maxLength: 4 }),
        excluded: fc.array(any, { maxLength: 1 }),
      }),
      { minLength: 4, maxLength: 8 },
    ),
  });
}

interface Mapping {
  readonly actorId: string;
  readonly systemId: string;
}

const IDS = 3;

interface Naming {
  readonly kind: "map" | "resolve";
  readonly actor: number;
  readonly system: number;
  /** Afterwards is a moment that is asked for. */
  readonly pause: boolean;
}

/** An id that stood for another one before. */
const REMAPPED: readonly Naming[] = [
  { kind: "map", actor: 0, system: 0, pause: true },
  { kind: "map", actor: 0, system: 1, pause: false },
];

function mappings(): fc.Arbitrary<readonly Naming[]> {
  const id = fc.nat(IDS - 1);
  const kind = fc.constantFrom("map" as const, "map" as const, "resolve" as const);
  return fc.array(fc.record({ kind, actor: id, system: id, pause: fc.boolean() }), { minLength: 1, maxLength: 8 });
}

interface Streams {
  readonly given: readonly (readonly [id: string, time: number])[];
  readonly batch: number;
  readonly asked: readonly {
    readonly sinceId: string | undefined;
    readonly untilId: string | undefined;
    readonly since: number | undefined;
    readonly until: number | undefined;
  }[];
}

/** An event after the last one that is asked for. */
const BEYOND: Streams = {
  given: [
    ["a", 0],
    ["aa", 1],
  ],
  batch: 20,
  asked: [{ sinceId: undefined, untilId: "a", since: undefined, until: undefined }],
};

function streams(): fc.Arbitrary<Streams> {
  const id = fc.string({ unit: fc.constantFrom("a", "B", "0", " ", "é", "\u{1f30a}"), minLength: 1, maxLength: 4 });
  const time = fc.nat(20);
  const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
  return fc.record({
    given: fc.uniqueArray(fc.tuple(id, time), { selector: ([event]) => event, minLength: 1, maxLength: 40 }),
    batch: fc.integer({ min: 1, max: 20 }),
    asked: fc.array(fc.record({ sinceId: maybe(id), untilId: maybe(id), since: maybe(time), until: maybe(time) }), {
      minLength: 3,
      maxLength: 6,
    }),
  });
}

function dateOf(time: number | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(SOME_TIME + time);
}
