import { type ConsumerState, isTidemarkError, type Position, START, type Store, type Zone } from "@tidemark/core";
import { declare, enter, inherit, ORDERS, takeOver, threeSteps } from "../consumers.ts";
import { account, deposit } from "../events.ts";
import { assert, collect, eventually, FULFILLED, fulfils, gate, outcome, promptly, refuses, turn } from "../expect.ts";
import { changeFence, changeRecords, changeZones, unavailable, unaware, vanishing } from "../faults.ts";
import { type Bench, type Law, override } from "../law.ts";
import {
  commitsWhatFailed,
  entersAtTheBeginning,
  fencesNothing,
  forgetsRenewals,
  handsOut,
  ignoresToken,
  keepsExpiredZones,
  leavesForAnyone,
  letsEveryoneIn,
  letsItsOwnerInAgain,
  neverLeaves,
  pinsConnections,
  renewsNothing,
  repeatsTokens,
  sharesLocks,
  trustsProcessClock,
  waitsForZones,
} from "../lies/zones.ts";

export const zoneLaws: readonly Law[] = [
  {
    id: "zones/exclusive",
    promise: "Of any number of contenders for a zone exactly one enters.",
    tooth: letsEveryoneIn,
    check: async ({ store, open }) => {
      const stores = [store, await open(), await open(), await open()];
      await declare(store);
      const attempts = [...stores, ...stores].map((contender) => contender.enterZone(ORDERS));
      const entered = (await Promise.all(attempts)).filter((zone) => zone !== undefined);
      assert.equal(entered.length, 1, "Exactly one contender has entered.");
    },
  },
  {
    id: "zones/exclusive/processes",
    promise: "Of contenders in several processes exactly one enters.",
    when: { shared: true },
    tooth: letsEveryoneIn,
    check: async ({ store, spawn }) => {
      await declare(store);
      const children = await Promise.all([1, 2, 3].map(() => spawn("zones/contend")));
      await Promise.all(children.map((child) => child.hear("ready")));
      for (const child of children) child.say("go");
      const entered = await Promise.all(children.map((child) => child.hear("entered")));
      assert.equal(entered.filter((answer) => answer === true).length, 1, "Exactly one process has entered.");
    },
  },
  {
    id: "zones/not-reentrant",
    promise: "The holder of a zone cannot enter it a second time.",
    tooth: letsItsOwnerInAgain,
    check: async ({ store }) => {
      await declare(store);
      await enter(store, ORDERS, { owner: "me" });
      assert.equal(await store.enterZone(ORDERS, { owner: "me" }), undefined, "The second entry is refused.");
    },
  },
  {
    id: "zones/independent/consumers",
    promise: "Zones of different consumers never meet, however alike their names and versions are.",
    tooth: sharesLocks("locks by a 32-bit hash of the consumer's name", (key) => String(hash32(key.name))),
    check: async ({ store }) => {
      // "Aa" and "BB" have the same 32-bit hash in more than one language; "plumless" and "buckeroo" the same CRC-32.
      const names = ["Aa", "BB", "plumless", "buckeroo", "a", "A", "a ", "\u00e9", "e\u0301", "x".repeat(200)];
      const consumers = [...names.map((name) => ({ name, version: 1 })), { name: "a", version: 2 }];
      for (const consumer of consumers) await store.consumers.declare(consumer, { kind: "projector" });
      for (const consumer of consumers) {
        const zone = await store.enterZone(consumer);
        assert.ok(zone !== undefined, `The zone of ${JSON.stringify(consumer)} is free while all others are held.`);
      }
    },
  },
  {
    id: "zones/independent/segments",
    promise: "Each segment of a consumer has a zone of its own.",
    tooth: sharesLocks("has one zone for all segments of a consumer", (key) => key.name),
    check: async ({ store, open }) => {
      const other = await open();
      await declare(store, ORDERS, { segments: 4 });
      await enter(store, ORDERS, { segment: 0 });
      await enter(other, ORDERS, { segment: 1 });
      await enter(store, ORDERS, { segment: 3 });
      assert.equal(await other.enterZone(ORDERS, { segment: 3 }), undefined, "A held segment is refused.");
    },
  },
  {
    id: "zones/unknown",
    promise: "The zone of a consumer that nobody has declared cannot be entered.",
    tooth: {
      lie: "declares a consumer by itself",
      store: (real) =>
        override(real, () => ({
          enterZone: async (consumer, options) => {
            await real.consumers.declare(consumer, { kind: "projector" });
            return real.enterZone(consumer, options);
          },
        })),
    },
    check: async ({ store }) => {
      await refuses("CONSUMER_UNKNOWN", store.enterZone(ORDERS));
      assert.equal(await store.consumers.get(ORDERS), undefined, "Nothing is stored of it.");
    },
  },
  {
    id: "zones/leave/frees",
    promise: "A zone that was left can be entered by anyone at once.",
    tooth: neverLeaves,
    check: async ({ store, open }) => {
      const other = await open();
      await declare(store);
      await (await enter(store)).leave();
      await (await enter(other)).leave();
      await enter(store);
    },
  },
  {
    id: "zones/leave/disposed",
    promise: "Disposing of a zone leaves it.",
    tooth: handsOut("does nothing on dispose", () => ({ [Symbol.asyncDispose]: async () => undefined })),
    check: async ({ store, open }) => {
      const other = await open();
      await declare(store);
      {
        await using zone = await enter(store);
        assert.equal(await other.enterZone(ORDERS), undefined, `Segment ${zone.segment} is held inside the block.`);
      }
      await enter(other);
    },
  },
  {
    id: "zones/leave/closed",
    promise: "Closing a store leaves all its zones.",
    tooth: neverLeaves,
    check: async ({ store, open }) => {
      const closing = await open();
      await declare(store, ORDERS, { segments: 2 });
      await enter(closing, ORDERS, { segment: 0 });
      await enter(closing, ORDERS, { segment: 1 });
      await closing.close();
      await enter(store, ORDERS, { segment: 0 });
      await enter(store, ORDERS, { segment: 1 });
    },
  },
  {
    id: "zones/leave/idempotent",
    promise: "Leaving a zone again changes nothing, also when somebody else has entered it since.",
    tooth: leavesForAnyone,
    check: async ({ store, adapter }) => {
      await declare(store);
      const zone = await enter(store);
      const other = adapter();
      await other.open("check", {});
      try {
        const key = { ...zone.consumer, generation: 1, segment: zone.segment };
        for (let time = 0; time < 2; time++) await other.zones.leave(key, zone.token, {});
        await fulfils(enter(store), "It is free after leaving twice");
        await other.zones.leave(key, zone.token, {});
        assert.equal(await store.enterZone(ORDERS), undefined, "It belongs to who has entered since.");
      } finally {
        await other.close();
      }
      await fulfils(zone.leave(), "Leaving through the handle is allowed");
      await fulfils(zone.leave(), "Leaving through the handle twice is allowed");
    },
  },
  {
    id: "zones/leave/not-owner",
    promise: "A holder that was taken over changes nothing by leaving.",
    tooth: leavesForAnyone,
    check: async (bench) => {
      const { old } = await takeOver(bench);
      await fulfils(old.leave(), "Leaving a zone that is lost is allowed");
      assert.equal(
        await (await bench.open()).enterZone(ORDERS),
        undefined,
        "The zone still belongs to its new holder.",
      );
    },
  },
  {
    id: "zones/expiry/takeover",
    promise: "A zone whose lease ran out can be entered by anyone.",
    tooth: keepsExpiredZones,
    check: async (bench) => {
      const { old } = await takeOver(bench);
      assert.equal(old.position, START);
    },
  },
  {
    id: "zones/expiry/token",
    promise: "Every entry raises the zone's token, after a takeover, after leaving and after a reset.",
    tooth: repeatsTokens,
    check: async (bench) => {
      const { old, heir } = await takeOver(bench);
      await heir.leave();
      const third = await enter(bench.store);
      await third.leave();
      await bench.store.consumers.reset(ORDERS, "beginning");
      const fourth = await enter(bench.store);
      const tokens = [old, heir, third, fourth].map((zone) => zone.token);
      const rising = tokens.every((token, index) => index === 0 || token > (tokens[index - 1] ?? token));
      assert.ok(rising, `Tokens rise: ${tokens.join(", ")}.`);
    },
  },
  {
    id: "zones/expiry/database-clock",
    promise:
      "A lease runs by the database's clock: a process whose clock is wrong by an hour neither ends nor keeps one.",
    tooth: trustsProcessClock,
    check: async ({ store, open }) => {
      const [other, stale] = [await open(), await open({}, unaware)];
      await declare(store, "held");
      await declare(store, "expired");
      await enter(store, "held");
      await withClock(3_600_000, async () => {
        assert.equal(await other.enterZone("held"), undefined, "A running lease is busy for a process that is ahead.");
        assert.equal(await store.enterZone("held"), undefined, "And so it is for the process of its holder.");
      });
      await enter(stale, "expired", { leaseMs: 1 });
      await withClock(-3_600_000, () => inherit(stale, "expired"));
    },
  },
  {
    id: "zones/renew/idle",
    promise: "A zone stays its holder's beyond the lease, for as long as it is held.",
    tooth: renewsNothing,
    check: async ({ store, open }) => {
      const other = await open();
      await declare(store);
      const zone = await enter(store, ORDERS, { leaseMs: KEPT_MS });
      await beyondLease(async () => {
        assert.equal(await other.enterZone(ORDERS), undefined, "The zone is still held.");
      });
      assert.equal(zone.signal.aborted, false, "Its holder still has it.");
    },
  },
  {
    id: "zones/renew/keeps",
    promise: "A holder whose handler awaits beyond the lease commits as the owner.",
    tooth: forgetsRenewals,
    check: async ({ store, open }) => {
      const other = await open();
      const [step] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store, ORDERS, { leaseMs: KEPT_MS });
      const commit = zone.commit(async () => {
        await beyondLease(() => turn(5));
        return step;
      });
      await fulfils(commit, "The zone is renewed while the handler awaits");
      assert.equal(await other.enterZone(ORDERS), undefined, "The zone is still held after the commit.");
    },
  },
  {
    id: "zones/renew/blocked",
    promise: "A handler that blocks its process beyond the lease either commits as the owner or commits nothing.",
    tooth: fencesNothing,
    check: async (bench) => {
      await declare(bench.store);
      const block = (): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LEASE_MS * 3);
      await contend(bench, { holder: bench.store, leaseMs: LEASE_MS, block });
    },
  },
  {
    id: "zones/enter/never-waits",
    promise: "Entering a zone whose holder is committing is refused at once.",
    tooth: waitsForZones,
    check: async ({ store, open, adapter }) => {
      const [fenced, commit] = [gate(), gate()];
      const holder = await open({}, (real) =>
        changeFence(unaware(real), async (port, fence, op) => {
          const moved = await port.fence(fence, op);
          fenced.open();
          await commit.passed;
          return moved;
        }),
      );
      const [step] = await threeSteps(store);
      await declare(store);
      // The lease will have run out, so that only the row's lock stands in the way.
      const zone = await enter(holder, ORDERS, { leaseMs: 1 });
      const other = adapter();
      await other.open("check", {});
      const committed = zone.commit(() => step);
      try {
        await fenced.passed;
        const key = { ...zone.consumer, generation: 1, segment: zone.segment };
        const entry = other.zones.enter(key, { owner: "me", ms: LEASE_MS }, {});
        assert.deepEqual(await promptly("Entering answers while the row is locked", entry), { kind: "busy" });
        // With one connection for everything every call of a store waits its turn, also the one that looks up the row.
        if (other.lending === "blocks-all") return;
        const zoneOfStore = await promptly("A store answers while the row is locked", store.enterZone(ORDERS));
        assert.equal(zoneOfStore, undefined, "A zone whose row is locked is busy.");
      } finally {
        commit.open();
        await outcome(committed);
        await other.close();
      }
    },
  },
  {
    id: "zones/first-start/all-segments-same-head",
    promise: "All segments of a consumer start at one position, and every member of a race gets the winner's.",
    tooth: {
      lie: "answers a lost race with the loser's position",
      adapter: (real) =>
        changeRecords(real, (records) => ({
          declare: async (declaration, op) => {
            const row = await records.declare(declaration, op);
            const segments = row.segments.map((segment) => ({ ...segment, position: declaration.position }));
            return { ...row, segments };
          },
        })),
    },
    check: async ({ store, open }) => {
      const raced = { kind: "projector", start: "head", segments: 4 } as const;
      let winner: ConsumerState | undefined;
      // The loser has read its head when somebody else appends and declares.
      const late = await open({}, (real) =>
        changeRecords(real, (records) => ({
          declare: async (declaration, op) => {
            await threeSteps(store);
            winner = await store.consumers.declare(ORDERS, raced);
            return records.declare(declaration, op);
          },
        })),
      );
      const loser = await late.consumers.declare(ORDERS, raced);
      const head = await store.head();
      assert.deepEqual(
        winner?.segments.map((segment) => segment.position),
        [head, head, head, head],
      );
      assert.deepEqual(
        loser.segments.map((segment) => segment.position),
        [head, head, head, head],
      );
    },
  },
  {
    id: "zones/reset/fences-all-segments",
    promise: "A reset raises the tokens of all segments: no transaction that was begun before it commits.",
    tooth: ignoresToken,
    check: async ({ store, open }) => {
      const stale = await open({}, unaware);
      const [step] = await threeSteps(store);
      await declare(store, ORDERS, { segments: 2 });
      const zones = [];
      for (const segment of [0, 1]) zones.push(await enter(stale, ORDERS, { segment, leaseMs: 1 }));
      await eventually("A consumer whose leases ran out can be reset", async () => {
        return (await outcome(store.consumers.reset(ORDERS, "beginning"))) === FULFILLED;
      });
      for (const zone of zones)
        await refuses(
          "ZONE_LOST",
          zone.commit(() => step),
        );
    },
  },
  {
    id: "zones/fenced/checkpoint",
    promise: "After a takeover the old holder cannot move the checkpoint.",
    tooth: ignoresToken,
    check: async (bench) => {
      const [step] = await threeSteps(bench.store);
      const { old } = await takeOver(bench);
      await refuses(
        "ZONE_LOST",
        old.commit(() => step),
      );
      assert.equal(await bench.store.consumers.checkpoint(ORDERS), undefined, "Nothing is committed.");
    },
  },
  {
    id: "zones/fenced/read-model",
    promise: "After a takeover nothing that the old holder writes in its transaction is committed.",
    tooth: commitsWhatFailed,
    check: async (bench) => {
      const [step] = await threeSteps(bench.store);
      const { old } = await takeOver(bench);
      await refuses("ZONE_LOST", commitEffects(bench, old, step));
      await assertEffects(bench, "none");
    },
  },
  {
    id: "zones/fenced/during-work",
    promise: "A holder that is taken over while its transaction is open commits nothing; one that cannot be, commits.",
    tooth: fencesNothing,
    check: async (bench) => {
      const stale = await bench.open({}, unaware);
      await declare(stale);
      await contend(bench, { holder: stale, leaseMs: 1, block: () => undefined });
    },
  },
  {
    id: "zones/fenced/deleted",
    promise: "A holder of a consumer that was deleted commits nothing, also when the consumer has been declared anew.",
    tooth: ignoresToken,
    check: async ({ store, open }) => {
      const stale = await open({}, unaware);
      const [step] = await threeSteps(store);
      await declare(store);
      const old = await enter(stale);
      await store.consumers.delete(ORDERS);
      await refuses(
        "ZONE_LOST",
        old.commit(() => START),
      );
      const again = await open({}, unaware);
      await declare(store, "again");
      const before = await enter(again, "again");
      await store.consumers.delete("again");
      await declare(store, "again");
      await enter(store, "again");
      await refuses(
        "ZONE_LOST",
        before.commit(() => step),
      );
    },
  },
  {
    id: "zones/commit/one-at-a-time",
    promise: "A second commit on a zone's handle while one is under way is refused, and nothing of it is committed.",
    tooth: handsOut("takes a commit beside another one for done", (zone) => ({
      commit: (work, options) => zone.commit(work, options).catch(() => zone.position),
    })),
    check: async ({ store, database: { effects } }) => {
      const [step] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store);
      const write = (value: string): Promise<Position> =>
        zone.commit(async ({ tx }) => {
          await effects.write(tx, value, value);
          return step;
        });
      const first = write("first");
      await refuses("WOULD_DEADLOCK", write("second"));
      await first;
      assert.deepEqual([await effects.read("first"), await effects.read("second")], ["first", undefined]);
    },
  },
  {
    id: "zones/fenced/left",
    promise: "A zone that was left commits nothing.",
    tooth: handsOut("goes on committing after leaving", () => ({ leave: async () => undefined })),
    check: async ({ store }) => {
      const [step] = await threeSteps(store);
      await declare(store);
      const zone = await enter(store);
      await zone.leave();
      await refuses(
        "ZONE_LOST",
        zone.commit(() => step),
      );
      assert.equal(await store.consumers.checkpoint(ORDERS), undefined, "Nothing is committed.");
    },
  },
  {
    id: "zones/fenced/paused-process",
    promise: "A process that is stopped beyond its lease and then continued cannot commit.",
    when: { shared: true },
    tooth: ignoresToken,
    check: async (bench) => {
      const [step] = await threeSteps(bench.store);
      await declare(bench.store);
      const child = await bench.spawn("zones/commit-when-told", { leaseMs: LEASE_MS, to: step.toString() });
      await child.hear("entered");
      child.pause();
      await inherit(bench.store);
      child.resume();
      child.say("commit");
      assert.equal(await child.result(), "ZONE_LOST", "Its commit is refused.");
      assert.equal(await bench.store.consumers.checkpoint(ORDERS), undefined, "The checkpoint is where it was.");
      await assertEffects(bench, "none");
    },
  },
  {
    id: "zones/signal/taken-over",
    promise: "The signal of a zone fires when somebody else has taken it over.",
    tooth: renewsNothing,
    check: async ({ store, open }) => {
      let asleep = true;
      const sleeper = await open({}, (real) =>
        changeZones(real, (zones) => ({
          renew: async (key, token, leaseMs, op) => asleep || zones.renew(key, token, leaseMs, op),
        })),
      );
      await declare(store);
      const zone = await enter(sleeper, ORDERS, { leaseMs: 10 });
      await inherit(store);
      asleep = false;
      await eventually("The signal fires", () => zone.signal.aborted);
      assert.ok(isTidemarkError(zone.signal.reason, "ZONE_LOST"), "Its reason says so.");
    },
  },
  {
    id: "zones/signal/deleted",
    promise: "The signal of a zone fires when its consumer is deleted.",
    tooth: renewsNothing,
    check: async ({ store }) => {
      await declare(store);
      const zone = await enter(store, ORDERS, { leaseMs: LEASE_MS });
      await store.consumers.delete(ORDERS);
      await eventually("The signal fires", () => zone.signal.aborted);
    },
  },
  {
    id: "zones/signal/unreachable",
    promise: "The signal of a zone fires when the database does not answer for longer than the lease.",
    tooth: handsOut("hands out a signal that never fires", () => ({ signal: new AbortController().signal })),
    check: async ({ store, open }) => {
      const away = await open({}, (real) =>
        changeZones(real, () => ({
          renew: async () => {
            throw unavailable();
          },
        })),
      );
      await declare(store);
      const zone = await enter(away, ORDERS, { leaseMs: LEASE_MS });
      await eventually("The signal fires", () => zone.signal.aborted);
    },
  },
  {
    id: "zones/crash",
    promise: "The zone of a killed process is free after its lease, with the checkpoint that was last committed.",
    when: { shared: true },
    tooth: entersAtTheBeginning,
    check: async (bench) => {
      const [first, second] = await threeSteps(bench.store);
      await declare(bench.store);
      const args = { leaseMs: LEASE_MS, steps: [first, second].map(String) };
      const child = await bench.spawn("zones/die-in-second-commit", args);
      assert.equal(await child.gone(), "SIGKILL", "The process was killed inside its second transaction.");
      assert.equal((await inherit(bench.store)).position, first, "The checkpoint is that of the first transaction.");
      await assertEffects(bench, "none");
    },
  },
  {
    id: "zones/crash/vanished",
    promise: "The zone of a holder that vanished is free after its lease, with the checkpoint that was last committed.",
    tooth: entersAtTheBeginning,
    check: async (bench) => {
      const [first, second] = await threeSteps(bench.store);
      const vanished = await bench.open({}, vanishing);
      await declare(vanished);
      const zone = await enter(vanished, ORDERS, { leaseMs: LEASE_MS });
      await zone.commit(() => first);
      const interrupted = zone.commit(async ({ tx, append }) => {
        await writeEffects(bench, tx, append);
        throw unavailable();
      });
      await refuses("UNAVAILABLE", interrupted);
      assert.notEqual(first, second);
      assert.equal((await inherit(bench.store)).position, first, "The checkpoint is that of the first transaction.");
      await assertEffects(bench, "none");
    },
  },
  {
    id: "zones/no-pinned-connection",
    promise: "A hundred held zones keep no connection from anyone.",
    tooth: pinsConnections,
    check: async ({ store }) => {
      const zones: Zone<unknown>[] = [];
      for (let number = 0; number < 100; number++) {
        await declare(store, `consumer ${number}`);
        zones.push(await promptly("A zone is entered beside others", enter(store, `consumer ${number}`)));
      }
      await promptly("An append goes through", store.append(deposit("a")));
      await promptly("A read goes through", store.readAll());
      await Promise.all(zones.map((zone) => zone.leave()));
    },
  },
];

/** A lease that is meant to run out. */
const LEASE_MS = 100;

/** A lease that is meant to be kept: its holder renews it in time on a machine that is busy as well. */
const KEPT_MS = 8_000;

/** Runs `look` again and again until a lease of {@link KEPT_MS} would have run out. */
async function beyondLease(look: () => Promise<void>): Promise<void> {
  const end = performance.now() + KEPT_MS * 1.3;
  while (performance.now() < end) {
    await look();
    await turn(1);
  }
}

/** Runs `work` in a process whose clock is `offset` milliseconds wrong. */
async function withClock(offset: number, work: () => Promise<unknown>): Promise<void> {
  const now = Date.now;
  Date.now = () => now() + offset;
  try {
    await work();
  } finally {
    Date.now = now;
  }
}

const EFFECT = "effect of the old holder";
const EFFECT_EVENT = account("event of the old holder");

async function writeEffects<Tx>(
  { database }: Bench<Tx>,
  tx: Tx,
  append: (request: ReturnType<typeof deposit>) => void,
): Promise<void> {
  append({ aggregate: EFFECT_EVENT, events: [{ type: "written", data: null }] });
  await database.effects.write(tx, EFFECT, "written");
}

function commitEffects<Tx>(bench: Bench<Tx>, zone: Zone<Tx>, to: Position): Promise<Position> {
  return zone.commit(async ({ tx, append }) => {
    await writeEffects(bench, tx, append);
    return to;
  });
}

async function assertEffects<Tx>({ store, database }: Bench<Tx>, expected: "all" | "none"): Promise<void> {
  const written = expected === "all";
  assert.equal(
    await database.effects.read(EFFECT),
    written ? "written" : undefined,
    `Of the row ${expected} is there.`,
  );
  const events = await collect(store.readAggregate(EFFECT_EVENT));
  assert.equal(events.length, written ? 1 : 0, `Of the event ${expected} is there.`);
}

interface Holding<Tx> {
  readonly holder: Store<Tx>;
  readonly leaseMs: number;
  /** Called inside the transaction, before somebody else tries to enter. */
  readonly block: () => unknown;
}

/**
 * Somebody else tries to enter while the holder is inside its transaction. Whether that is possible depends on the
 * database; what follows from it does not.
 */
async function contend<Tx>(bench: Bench<Tx>, { holder, leaseMs, block }: Holding<Tx>): Promise<void> {
  const [step] = await threeSteps(bench.store);
  const contender = await bench.open();
  const contended = gate();
  const begin = async (): Promise<{ readonly commit: Promise<unknown> } | undefined> => {
    const zone = await inherit(holder, ORDERS, { leaseMs });
    const working = gate();
    const commit = zone.commit(async ({ tx, append }) => {
      await writeEffects(bench, tx, append);
      block();
      working.open();
      await contended.passed;
      return step;
    });
    if ((await Promise.race([working.passed, outcome(commit)])) === undefined) return { commit: outcome(commit) };
    await refuses("ZONE_LOST", commit);
    return undefined;
  };
  // On a busy machine a short lease is over before the work has begun: then the zone is entered again.
  const { commit } = await eventually("A holder gets inside its transaction", begin);
  const entry = contender.enterZone(ORDERS);
  // Where the entry has to queue behind the transaction, it is answered only after the commit.
  await Promise.race([entry, turn(LEASE_MS)]);
  contended.open();
  const lost = (await commit) !== FULFILLED;
  const heir = await entry;
  const stored = (await bench.store.consumers.checkpoint(ORDERS)) ?? START;
  if (lost) assert.ok(isTidemarkError(await commit, "ZONE_LOST"), "A commit fails only because the zone is lost.");
  assert.equal(
    stored,
    lost ? START : step,
    `The checkpoint moves with a commit that ${lost ? "failed" : "succeeded"}.`,
  );
  assert.equal(heir?.position ?? stored, stored, "Whoever takes over goes on from what was committed.");
  await assertEffects(bench, lost ? "none" : "all");
  assert.ok(!lost || heir !== undefined, "A zone is lost only to somebody.");
}

/** Java's `String.hashCode`, the hash behind many a lock name. */
function hash32(text: string): number {
  return Array.from(text).reduce((hash, char) => (Math.imul(hash, 31) + (char.codePointAt(0) ?? 0)) | 0, 0);
}
