import type { ConsumerSight } from "@tidemark/core";
import { expect, test } from "vitest";
import { Bell } from "../src/bell.ts";
import { Lookout } from "../src/lookout.ts";

const key = { name: "book", version: 1 };

/** A store whose looks are answered by hand, in whatever order. */
function handmade() {
  const open: { readonly answer: () => void; readonly fail: () => void }[] = [];
  const look = (): Promise<(ConsumerSight | undefined)[]> =>
    new Promise((resolve, reject) => {
      open.push({ answer: () => resolve([undefined]), fail: () => reject(new Error("not just now")) });
    });
  const store = { consumers: { look } } as unknown as ConstructorParameters<typeof Lookout<unknown>>[0];
  return { store, open };
}

test("no two looks run at once, however soon after the end of one another is asked for", async () => {
  for (let later = 0; later < 10; later++) {
    const { store, open } = handmade();
    const lookout = new Lookout(store, new Bell(), () => undefined);
    lookout.watch(key);
    void lookout.refresh();
    await settled();
    // Due after the first.
    const second = lookout.refresh();
    const late = afterMicrotasks(later).then(() => lookout.refresh());
    open[0]?.answer();
    await settled();
    expect(open).toHaveLength(2);
    open[1]?.answer();
    await second;
    await settled();
    open[2]?.answer();
    await late;
    expect(lookout.version).toBe(open.length);
  }
});

test("those who ask before a look has begun share it, and who asks while it runs gets one of after that", async () => {
  const { store, open } = handmade();
  const lookout = new Lookout(store, new Bell(), () => undefined);
  lookout.watch(key);
  const [one, other] = [lookout.refresh(), lookout.refresh()];
  await settled();
  expect(open).toHaveLength(1);
  const seen: string[] = [];
  const late = [lookout.refresh(), lookout.refresh()].map((look) => look.then(() => seen.push("late")));
  open[0]?.answer();
  await Promise.all([one, other]);
  await settled();
  expect([open.length, seen]).toEqual([2, []]);
  open[1]?.answer();
  await Promise.all(late);
  expect(lookout.version).toBe(2);
});

test("a look that fails is told to those who asked for it, and the next one is made", async () => {
  const { store, open } = handmade();
  const lookout = new Lookout(store, new Bell(), () => undefined);
  lookout.watch(key);
  const failing = lookout.refresh();
  await settled();
  const next = lookout.refresh();
  open[0]?.fail();
  await expect(failing).rejects.toThrow("not just now");
  await settled();
  open[1]?.answer();
  await next;
  expect(lookout.version).toBe(1);
});

async function afterMicrotasks(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await Promise.resolve();
}

/** Everything has run that could. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
