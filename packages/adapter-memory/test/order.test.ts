import { createMemoryDatabase, createMemoryStore, type MemoryTransaction } from "@tidemark/adapter-memory";
import { type Position, START, type Store } from "@tidemark/core";
import { describe, expect, test } from "vitest";

type How = "commit" | "rollback";

const TRANSACTIONS = [0, 1, 2];
const ORDERS = TRANSACTIONS.flatMap((a) =>
  TRANSACTIONS.filter((b) => b !== a).flatMap((b) =>
    TRANSACTIONS.filter((c) => c !== a && c !== b).map((c) => [a, b, c] as const),
  ),
);
const OUTCOMES = (["commit", "rollback"] as const).flatMap((a) =>
  (["commit", "rollback"] as const).flatMap((b) => (["commit", "rollback"] as const).map((c) => [a, b, c] as const)),
);

describe.each(ORDERS)("transactions that end in the order %i, %i, %i", (...order) => {
  test.each(OUTCOMES)("by %s, %s, %s: a polling reader sees each committed event exactly once", async (...outcomes) => {
    const database = createMemoryDatabase();
    const store = await createMemoryStore({ database });
    const reader = new Reader(store);
    const open = TRANSACTIONS.map(() => database.begin());
    for (const [index, tx] of open.entries()) await append(store, tx, `${index}: first`);
    await reader.poll();
    for (const index of order) {
      const tx = open[index];
      const how: How = outcomes[index] ?? "commit";
      if (tx === undefined) throw new RangeError("There is no such transaction.");
      // Between the positions of the others, so that what commits late has to go between what did before.
      await append(store, tx, `${index}: last`);
      await reader.poll();
      await tx[how]();
      await reader.poll();
      await store.append({ aggregate: { type: "bystander", id: "1" }, events: [{ type: `beside ${index}`, data: 0 }] });
      await reader.poll();
    }
    const committed = TRANSACTIONS.filter((index) => outcomes[index] === "commit");
    const expected = [
      ...committed.flatMap((index) => [`${index}: first`, `${index}: last`]),
      ...TRANSACTIONS.map((index) => `beside ${index}`),
    ];
    expect(reader.seen.toSorted()).toEqual(expected.toSorted());
    expect(reader.position).toBe(await store.head());
  });
});

test("an open append holds readers back, but no writer", async () => {
  const database = createMemoryDatabase();
  const store = await createMemoryStore({ database });
  const tx = database.begin();
  await append(store, tx, "slow");
  await store.append({ aggregate: { type: "bystander", id: "1" }, events: [{ type: "quick", data: 0 }] });
  expect(await store.readAll()).toEqual({ events: [], next: START });
  expect(await store.head()).toBe(START);
  await tx.commit();
  expect((await store.readAll()).events).toMatchObject([{ type: "slow" }, { type: "quick" }]);
});

test("a transaction whose append was refused holds nobody back", async () => {
  const database = createMemoryDatabase();
  const store = await createMemoryStore({ database });
  const tx = database.begin();
  const refused = store
    .within(tx)
    .append({ aggregate: { type: "account", id: "a" }, events: [{ type: "moved", data: 0 }], expected: "exists" });
  await expect(refused).rejects.toMatchObject({ code: "VERSION_CONFLICT" });
  const { positions } = await store.append({
    aggregate: { type: "bystander", id: "1" },
    events: [{ type: "quick", data: 0 }],
  });
  expect([await store.head()]).toEqual(positions);
  await tx.rollback();
});

test("what a reader does to its events does not reach the log", async () => {
  const store = await createMemoryStore();
  const result = await store.append({ aggregate: { type: "account", id: "a" }, events: [{ type: "opened", data: 0 }] });
  Object.assign(result.aggregate, { id: "b" });
  const before = await store.readAll();
  for (const event of before.events) Object.assign(event.aggregate, { id: "c" });
  expect((await store.readAll()).events).toMatchObject([{ aggregate: { id: "a" } }]);
});

class Reader {
  readonly seen: string[] = [];
  position: Position = START;
  readonly #store: Store<MemoryTransaction>;

  constructor(store: Store<MemoryTransaction>) {
    this.#store = store;
  }

  async poll(): Promise<void> {
    const { events, next } = await this.#store.readAll({ after: this.position, limit: 2 });
    this.seen.push(...events.map((event) => event.type));
    this.position = next;
    if (events.length > 0) await this.poll();
  }
}

let aggregates = 0;

async function append(store: Store<MemoryTransaction>, tx: MemoryTransaction, type: string): Promise<void> {
  aggregates += 1;
  await store.within(tx).append({ aggregate: { type: "slow", id: String(aggregates) }, events: [{ type, data: 0 }] });
}
