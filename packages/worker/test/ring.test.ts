import { bucketOf, type Page, type Position, type RecordedEvent, type Scope, toPosition } from "@tidemark/core";
import { expect, test } from "vitest";
import { matcherOf } from "../src/matcher.ts";
import { Ring } from "../src/ring.ts";

/** A log in memory, with gaps in its positions, whose reads are counted. */
function createLog(): {
  readonly events: RecordedEvent[];
  reads: number;
  append(count: number): void;
  head(): Position;
  readAll(options?: {
    readonly after?: Position | undefined;
    readonly limit?: number | undefined;
    readonly scope?: Scope | undefined;
  }): Promise<Page>;
} {
  const events: RecordedEvent[] = [];
  let position = 0n;
  return {
    events,
    reads: 0,
    append(count) {
      for (let index = 0; index < count; index++) {
        position += BigInt(1 + (events.length % 3));
        const aggregate = {
          context: "default",
          type: events.length % 2 === 0 ? "even" : "odd",
          id: `${events.length % 7}`,
        };
        events.push({
          id: `${position}`,
          position: toPosition(position),
          aggregate,
          version: 1,
          type: `type ${events.length % 5}`,
          data: { list: [1, { deep: true }] },
          metadata: {},
          occurredOn: new Date(0),
          recordedAt: new Date(0),
        });
      }
    },
    head: () => events.at(-1)?.position ?? toPosition(0n),
    async readAll({ after = toPosition(0n), limit = 500, scope = {} } = {}) {
      this.reads += 1;
      const matches = matcherOf(scope);
      const found = events.filter((event) => event.position > after && matches(event, bucketOf(event.aggregate)));
      const page = found.slice(0, limit);
      const last = page.at(-1);
      return { events: page, next: page.length === limit && last !== undefined ? last.position : this.head() };
    },
  };
}

const SCOPES: readonly Scope[] = [
  {},
  { eventTypes: ["type 1", "type 3"] },
  { aggregateTypes: ["even"] },
  { contexts: ["other"] },
  { contexts: [], aggregateTypes: [] },
  ...[0, 1, 2, 3].map((index) => ({ segment: { index, of: 4 } })),
  { eventTypes: ["type 2"], segment: { index: 1, of: 2 } },
];

test("readers of a shared ring get what the log would have given them, whoever reads how far and when", async () => {
  const log = createLog();
  const ring = new Ring({ log, head: () => log.head(), capacity: 40, pageSize: 12 });
  let seed = 7;
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  const readers = SCOPES.map((scope) => ({
    scope,
    matches: matcherOf(scope),
    position: toPosition(0n),
    seen: new Array<Position>(),
    shared: 0,
  }));
  for (let turn = 0; turn < 3_000; turn++) {
    if (random() < 0.2) log.append(Math.floor(random() * 6));
    const reader = readers[Math.floor(random() * readers.length)];
    if (reader === undefined) continue;
    const limit = 1 + Math.floor(random() * 10);
    const shared = await ring.page(reader.position, limit, reader.matches);
    if (shared !== undefined) reader.shared += 1;
    const page = shared ?? (await log.readAll({ after: reader.position, limit, scope: reader.scope }));
    expect(page.next).toBeGreaterThanOrEqual(reader.position);
    expect(page.next).toBeLessThanOrEqual(log.head());
    expect(page.events.length).toBeLessThanOrEqual(limit);
    expect([0n, ...log.events.map(({ position }) => position)]).toContain(page.next);
    for (const event of page.events) {
      reader.seen.push(event.position);
      Object.assign(event, { data: "spoilt by a handler" });
    }
    reader.position = page.next;
    expect(ring.size).toBeLessThanOrEqual(40);
  }
  for (const reader of readers) {
    for (;;) {
      const page = await log.readAll({ after: reader.position, scope: reader.scope });
      reader.seen.push(...page.events.map(({ position }) => position));
      if (page.events.length === 0) break;
      reader.position = page.next;
    }
    const all = log.events.filter((event) => reader.matches(event, bucketOf(event.aggregate)));
    expect(reader.seen).toEqual(all.map(({ position }) => position));
  }
  expect(readers.reduce((sum, { shared }) => sum + shared, 0)).toBeGreaterThan(1_000);
});

test("at the tail the log is read once, however many read", async () => {
  const log = createLog();
  log.append(5);
  const ring = new Ring({ log, head: () => log.head(), capacity: 100, pageSize: 50 });
  const pages = await Promise.all(SCOPES.map((scope) => ring.page(toPosition(0n), 100, matcherOf(scope))));
  expect(log.reads).toBe(1);
  expect(pages[0]?.events).toHaveLength(5);
  expect(pages.every((page) => page?.next === log.head())).toBe(true);
});

test("one that is behind the ring reads for itself", async () => {
  const log = createLog();
  log.append(300);
  const ring = new Ring({ log, head: () => log.head(), capacity: 100, pageSize: 50 });
  expect(await ring.page(toPosition(0n), 10, matcherOf({}))).toBeUndefined();
  expect(log.reads).toBe(0);
});

test("what a serializer has made into objects of its own is not shared", async () => {
  const log = createLog();
  log.append(3);
  Object.assign(log.events[1] ?? {}, { data: new Map() });
  const ring = new Ring({ log, head: () => log.head(), capacity: 100, pageSize: 50 });
  expect(await ring.page(toPosition(0n), 10, matcherOf({}))).toBeUndefined();
  expect(await ring.page(log.head(), 10, matcherOf({}))).toBeUndefined();
});
