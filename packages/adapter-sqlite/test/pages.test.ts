import { createSqliteAdapter } from "@tidemark/adapter-sqlite";
import { type AggregateRef, type Position, START } from "@tidemark/core";
import { expect, test } from "vitest";
import { cleanups, file, open, placed } from "./fixture.ts";

const EVERYTHING = { contexts: [], aggregateTypes: [], eventTypes: [], segment: 0, segments: 1 };

test.each([EVERYTHING, { ...EVERYTHING, aggregateTypes: ["order"] }])(
  "a page of the log ends with the event that makes it large enough: %j",
  async (scope) => {
    const store = await open({ file });
    for (const id of ["1", "2", "3"]) await store.append(placed(id));
    const adapter = createSqliteAdapter({ file });
    cleanups.push(() => adapter.close());
    await adapter.open("check", {});
    const size = `{"id":"1"}{}`.length;

    async function page(after: Position, bytes: number): Promise<readonly [readonly string[], Position]> {
      const { events, next } = await adapter.readAll({ after, limit: 10, bytes, scope }, {});
      return [events.map((event) => event.ref.id), next];
    }

    expect(await page(START, 1)).toEqual([["1"], 1n]);
    expect(await page(START, size)).toEqual([["1"], 1n]);
    expect(await page(START, size + 1)).toEqual([["1", "2"], 2n]);
    expect(await page(START, 1_000)).toEqual([["1", "2", "3"], 3n]);
    // Whoever stopped early has left no statement open.
    await store.append(placed("4"));
    expect(await adapter.head({})).toBe(4n);
  },
);

test("a page of an aggregate ends with the event that makes it large enough", async () => {
  const store = await open({ file });
  for (let count = 0; count < 3; count++) await store.append(placed("1"));
  const adapter = createSqliteAdapter({ file });
  cleanups.push(() => adapter.close());
  await adapter.open("check", {});
  const ref: AggregateRef = { context: "default", type: "order", id: "1" };
  const size = `{"id":"1"}{}`.length;

  async function page(direction: "forward" | "backward", bytes: number): Promise<readonly number[]> {
    const events = await adapter.readAggregate({ ref, from: 1, to: 9, direction, limit: 10, bytes }, {});
    return events.map(({ version }) => version);
  }

  expect(await page("forward", 1)).toEqual([1]);
  expect(await page("forward", size + 1)).toEqual([1, 2]);
  expect(await page("backward", size)).toEqual([3]);
  expect(await page("backward", 1_000)).toEqual([3, 2, 1]);
  // Whoever stopped early has left no statement open.
  await store.append(placed("1"));
  expect(await page("backward", 1)).toEqual([4]);
});
