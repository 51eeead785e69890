import assert from "node:assert/strict";
import { override } from "@tidemark/conformance";
import { bucketOf, DEFAULT_CONTEXT, defineObserver, segmentOf, type Store } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";
import { deposit, fill, isCaughtUp, isExactlyOnce, ledger } from "./ledger.ts";
import { seeing, withConsumers, withMembers } from "./lies.ts";
import { eventually, gate, type Hired, turn, type WorkerLaw } from "./yard.ts";

/** Who runs what. */
export const sharing: readonly WorkerLaw[] = [
  {
    id: "worker/fair-share",
    promise: "Workers hold the same number of a consumer's segments, give or take one, and every segment is held.",
    async check(yard) {
      const consumers = [ledger({ name: "even", segments: 16 }), ledger({ name: "odd", segments: 4 })];
      const hired = [await yard.hire({ consumers }), await yard.hire({ consumers }), await yard.hire({ consumers })];
      const isShared = (): boolean => {
        const [even, odd] = [0, 1].map((index) => hired.map((one) => held(one, index)).toSorted((a, b) => a - b));
        return even?.join() === "5,5,6" && odd?.join() === "1,1,2";
      };
      await eventually("Three workers share 16 segments as 5, 5 and 6, and 4 as 1, 1 and 2", isShared, 60_000);
    },
    tooth: {
      lie: "believes to be alone",
      store: (real) =>
        withMembers(real, () => ({
          meet: async (consumers, { member }) => consumers.map(() => [member]),
        })),
    },
  },
  {
    id: "worker/spread",
    promise: "Consumers of one segment are spread over the workers, each in one of them.",
    async check(yard) {
      const consumers = Array.from({ length: 12 }, (_, index) => ledger({ name: `single ${index}` }));
      // Lots are drawn by the names: for these, they fall seven to five.
      const hired = [await yard.hire({ consumers, name: "one" }), await yard.hire({ consumers, name: "other" })];
      await eventually("Each of two workers runs some of twelve consumers, and together all", () => {
        const counts = hired.map(({ worker }) => worker.status().consumers.flatMap(heldSegments).length);
        return counts.every((count) => count >= 2) && counts.reduce((sum, count) => sum + count) === 12;
      });
    },
    tooth: {
      lie: "draws lots by itself",
      store: (real) =>
        withMembers(real, (members) => ({
          meet: async (consumers, options) => {
            const met = await members.meet(consumers, options);
            return met.map(() => [options.member]);
          },
        })),
    },
  },
  {
    id: "worker/takeover",
    promise: "What a worker held that is gone without a word, others run as soon as its leases have run out.",
    async check(yard) {
      const consumers = [ledger({ name: "book", segments: 4 })];
      const gone = await yard.hire({ consumers, leaseMs: 500 }, { change: vanishing });
      await eventually("One worker holds all four", () => held(gone) === 4);
      await gone.worker.drain();
      await fill(yard.store, 40);
      await yard.hire({ consumers });
      await eventually("The other one has applied everything", () => isCaughtUp(yard.store, "book"));
      await isExactlyOnce(yard.store, yard.store, "book");
    },
    tooth: {
      lie: "takes whoever had a segment for alive",
      store: (real) =>
        seeing(real, (sight) => ({
          ...sight,
          segments: sight.segments.map((segment) =>
            segment.owner === undefined ? { ...segment, owner: "somebody" } : segment,
          ),
        })),
    },
  },
  {
    id: "worker/drain",
    promise: "A worker that is drained finishes what it has begun, commits it, and gives everything back at once.",
    async check(yard) {
      const [begun, proceed] = [gate(), gate()];
      const slow = ledger<unknown>({
        name: "book",
        before: async () => {
          begun.open();
          await proceed.passed;
        },
      });
      const { worker, run } = await yard.hire({ consumers: [slow], leaseMs: 60_000, drainMs: 60_000 });
      await yard.store.append(deposit(1));
      await begun.passed;
      let isDrained = false;
      const draining = worker.drain().then(() => (isDrained = true));
      await turn(100);
      assert.equal(isDrained, false, "It waits for the handler.");
      assert.equal(worker.status().phase, "draining");
      proceed.open();
      await draining;
      await run;
      assert.equal(worker.status().phase, "ended");
      await isExactlyOnce(yard.store, yard.store, "book");
      const state = await yard.store.consumers.get("book");
      assert.equal(state?.segments[0]?.owner, undefined, "Nobody holds the segment any more.");
    },
    tooth: {
      lie: "lets its zones run out instead of leaving them",
      store: (real) =>
        override(real, (store) => ({
          enterZone: async (consumer, options) => {
            const zone = await store.enterZone(consumer, options);
            return zone && override(zone, () => ({ leave: async () => undefined }));
          },
        })),
    },
  },
  {
    id: "worker/churn",
    promise:
      "While workers come and go, every event is applied once, in the order of its aggregate, and lag ends at zero.",
    async check(yard) {
      const consumers = [ledger({ name: "book", segments: 8 })];
      const staying = await yard.hire({ consumers });
      for (let round = 0; round < 4; round++) {
        const guest = await yard.hire({ consumers });
        await fill(yard.store, (round + 1) * 150, round * 150 + 1);
        await eventually("The guest works", () => held(guest) > 0);
        await fill(yard.store, 10_000 + (round + 1) * 20, 10_000 + round * 20 + 1);
        await guest.worker.drain();
      }
      await eventually("One worker has everything back", () => held(staying) === 8);
      await eventually("Everything is applied", () => isCaughtUp(yard.store, "book"));
      await isExactlyOnce(yard.store, yard.store, "book");
    },
    tooth: {
      lie: "commits effects and leaves the checkpoint where it was",
      store: (real) =>
        override(real, (store) => ({
          enterZone: async (consumer, options) => {
            const zone = await store.enterZone(consumer, options);
            let isFirst = true;
            return (
              zone &&
              override(zone, () => ({
                // The first batch of each stay.
                commit: async (work, given) => {
                  if (!isFirst) return zone.commit(work, given);
                  isFirst = false;
                  return zone.commit(async (transaction) => {
                    await work(transaction);
                    return zone.position;
                  }, given);
                },
              }))
            );
          },
        })),
    },
  },
  {
    id: "worker/lost-segment",
    promise: "A worker that loses a segment stops that one only, and takes it again when it is free.",
    async check(yard) {
      const seen = new Set<number>();
      const watch = defineObserver<{ deposited: { readonly amount: number } }>({
        name: "watch",
        segments: 2,
        start: "beginning",
        handlers: { deposited: ({ data }) => void seen.add(data.amount) },
      });
      const { worker } = await yard.hire({ consumers: [watch], leaseMs: 150 }, { change: forgetful });
      await eventually("The worker holds both", () => heldSegments(worker.status().consumers[0]).length === 2);
      const thief = await yard.open();
      const zone = await eventually("Its first segment can be had when the lease has run out", () =>
        thief.enterZone("watch", { segment: 0, leaseMs: 60_000 }),
      );
      // What was read before the lease ran out may still be handled. Nothing else, once it is known that it did.
      const others = Array.from({ length: 40 }, (_, index) => index + 21);
      await yard.store.append(deposit(others.find((amount) => isInFirst(amount)) ?? assert.fail("There is one.")));
      await eventually("It knows that it has lost it", () => heldSegments(worker.status().consumers[0]).length === 1);
      const { events } = await both(yard.store);
      await eventually("The other segment goes on", () => events.other.every((amount) => seen.has(amount)));
      assert.ok(!events.first.some((amount) => seen.has(amount)), "The lost one does not.");
      await zone.leave();
      await eventually("It takes it again", () => events.first.every((amount) => seen.has(amount)));
    },
    tooth: {
      lie: "gives up everything when it loses anything",
      store: (real) => {
        const zones: { leave(): Promise<void> }[] = [];
        let isOver = false;
        return override(real, (store) => ({
          enterZone: async (consumer, options) => {
            if (isOver) return undefined;
            const zone = await store.enterZone(consumer, options);
            if (zone === undefined) return undefined;
            zones.push(zone);
            zone.signal.addEventListener("abort", () => {
              isOver = true;
              for (const other of zones) void other.leave();
            });
            return zone;
          },
        }));
      },
    },
  },
  {
    id: "worker/other-segments",
    promise: "A worker whose consumer is stored with another number of segments is refused, with what changes that.",
    async check(yard) {
      await yard.store.consumers.declare("book", { kind: "projector", segments: 4 });
      const { run } = await yard.hire({ consumers: [ledger({ name: "book", segments: 8 })] });
      let refusal: unknown;
      run.catch((error: unknown) => (refusal = error));
      const error = await eventually("It is refused", () => refusal);
      assert.match(String(error), /consumers\.resegment\(\{"name":"book","version":1\}, 8\)/);
    },
    tooth: {
      lie: "runs what is stored, whatever it was told",
      store: (real) =>
        withConsumers(real, (consumers) => ({
          declare: async (consumer, options) => {
            const stored = await consumers.get(consumer);
            return consumers.declare(consumer, { ...options, segments: stored?.segments.length ?? options.segments });
          },
        })),
    },
  },
];

/** A holder that is gone without a word: it neither renews, nor leaves, nor says that it goes. */
function vanishing<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return override(real, () => ({
    zones: override(real.zones, () => ({ renew: async () => true, leave: async () => undefined })),
    members: override(real.members, () => ({ leave: async () => undefined })),
  }));
}

/** It does not renew the lease of the first segment, and believes to. */
function forgetful<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return override(real, () => ({
    zones: override(real.zones, (zones) => ({
      renew: async (key, token, ms, op) => (key.segment === 0 ? true : zones.renew(key, token, ms, op)),
    })),
  }));
}

function held<Tx>({ worker }: Hired<Tx>, consumer = 0): number {
  return heldSegments(worker.status().consumers[consumer]).length;
}

function heldSegments(
  consumer: { readonly segments: readonly { readonly held: boolean }[] } | undefined,
): readonly unknown[] {
  return consumer?.segments.filter((segment) => segment.held) ?? [];
}

/** Appends deposits for both of two segments, and tells which is whose. */
async function both<Tx>(store: Store<Tx>): Promise<{ events: { first: number[]; other: number[] } }> {
  const events: { first: number[]; other: number[] } = { first: [], other: [] };
  for (let amount = 1; amount <= 20; amount++) {
    events[isInFirst(amount) ? "first" : "other"].push(amount);
    await store.append(deposit(amount));
  }
  return { events };
}

/** Of two segments. */
function isInFirst(amount: number): boolean {
  const { aggregate } = deposit(amount);
  return segmentOf(bucketOf({ ...aggregate, context: DEFAULT_CONTEXT }), 2) === 0;
}
