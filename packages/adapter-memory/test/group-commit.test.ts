import { createMemoryAdapter, createMemoryDatabase } from "@tidemark/adapter-memory";
import { type AggregateRef, bucketOf, openStore } from "@tidemark/core";
import type { TransactionPort } from "@tidemark/core/spi";
import { expect, test } from "vitest";

const HELD: AggregateRef = { context: "default", type: "account", id: "held" };

test("while a transaction holds one aggregate, 64 callers append to others in few transactions", async () => {
  const database = createMemoryDatabase();
  const adapter = createMemoryAdapter({ database });
  let batches = 0;
  const counting: typeof adapter = {
    ...adapter,
    appendBatch: (units, op) => {
      batches += 1;
      return adapter.appendBatch(units, op);
    },
  };
  const store = await openStore(counting);
  const holder = database.begin();
  await holdAggregate(adapter.within(holder), HELD);

  let isHeldOneDone = false;
  const held = store.append({ aggregate: HELD, events: [{ type: "moved", data: 0 }] }).finally(() => {
    isHeldOneDone = true;
  });
  const callers = Array.from({ length: 64 }, (_, index) =>
    store.append({ aggregate: { type: "account", id: String(index) }, events: [{ type: "moved", data: index }] }),
  );
  const results = await Promise.all(callers);

  expect(results.map(({ last }) => last)).toEqual(Array(64).fill(1));
  // One for all of them, one for the caller that waits in its side lane.
  expect(batches).toBeLessThanOrEqual(2);
  expect(isHeldOneDone).toBe(false);

  await holder.rollback();
  expect(await held).toMatchObject({ first: 1, last: 1 });
  expect((await store.readAll()).events).toHaveLength(65);
});

/** Appends without the store, as code does that knows nothing of it. */
async function holdAggregate(port: TransactionPort, ref: AggregateRef): Promise<void> {
  const event = { id: "held", type: "opened", data: "0", metadata: "{}", occurredOn: 0 };
  const part = { ref, bucket: bucketOf(ref), expected: "any", events: [event] } as const;
  await port.appendBatch([{ parts: [part], known: "refuse" }], { onBusy: "wait", sameContent: () => false });
}
