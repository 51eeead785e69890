import {
  defineSaga,
  type FailurePolicy,
  isTidemarkError,
  type AppendRequest,
  type SagaConsumer,
  type SagaHandling,
  type RecordedEvent,
  START,
  type Store,
} from "@tidemark/core";
import { ORDERS, takeOver } from "../consumers.ts";
import {
  changeLetters,
  crashingWithLetter,
  effects,
  type Handle,
  handlerFor,
  history,
  letters,
  mortal,
  nameOf,
  PARK_STEPS,
  patient,
} from "../dead-letters.ts";
import { account, deposit } from "../events.ts";
import { assert, collect, eventually, gate, outcome, refuses } from "../expect.ts";
import { unavailable, vanishing } from "../faults.ts";
import type { Law } from "../law.ts";
import { sharesEvents } from "../lies/consuming.ts";
import {
  freesNothing,
  holdsNothingBack,
  keepsSequences,
  looksForOldSequences,
  losesLetters,
  parksAfterwards,
  parksForEveryone,
  parksWithoutEnd,
  remembersOneSequence,
  skipsInstead,
  underPolicy,
} from "../lies/dead-letters.ts";
import { commitsWhatFailed } from "../lies/zones.ts";
import { forWard, type Ward, type WardLaw } from "../ward.ts";

const parking: readonly WardLaw[] = [
  {
    name: "park/sequence",
    promise:
      "When an event cannot be handled, it and all later ones of its sequence are parked, in order; others go on.",
    inAnyLog: true,
    tooth: holdsNothingBack,
    check: async ({ store, log, run, broken }) => {
      await history(log, "a1 b1 a2 b2 c1 a3");
      broken.add("a1");
      assert.equal((await run()).kind, "caught-up");
      assert.deepEqual(await letters(store), ["a1", "a2", "a3"]);
      await history(log, "b3 a4");
      await run();
      assert.deepEqual(await letters(store), ["a1", "a2", "a3", "a4"], "A later cycle knows it too.");
      assert.deepEqual(await effects(store), { b: ["b1", "b2", "b3"], c: ["c1"] });
    },
  },
  {
    name: "park/checkpoint",
    promise: "The checkpoint passes an event that is parked, and no later cycle tries it again by itself.",
    inAnyLog: true,
    tooth: underPolicy("stops where it should park", { then: "stop" }),
    check: async ({ store, log, run, broken }) => {
      await history(log, "a1");
      broken.add("a1");
      const head = await log.head();
      assert.deepEqual(await run(), { kind: "caught-up", handled: 0, position: head });
      broken.clear();
      assert.deepEqual(await run(), { kind: "caught-up", handled: 0, position: head });
      assert.deepEqual([await letters(store), await effects(store)], [["a1"], {}]);
    },
  },
  {
    name: "park/neighbours",
    promise: "Parking an event neither undoes nor repeats the effects of its neighbours, and leaves none of its own.",
    tooth: commitsWhatFailed,
    kinds: ["projector", "batch", "saga"],
    check: async ({ store, log, run, broken }) => {
      await history(log, "a1 b1 c1 b2 d1");
      broken.add("c1");
      await run({ fetchSize: 3 });
      assert.deepEqual(await effects(store), { a: ["a1"], b: ["b1", "b2"], d: ["d1"] });
      assert.deepEqual(await letters(store), ["c1"]);
    },
  },
  {
    name: "park/given-out",
    promise:
      "An event that was given out before the one in front of it failed waits as well, whatever was recorded meanwhile.",
    kinds: ["observer"],
    tooth: skipsInstead,
    check: async <Tx>({ store, log, run, broken }: Ward<Tx>) => {
      await history(log, "a1 b1 c1 a2");
      broken.add("a1");
      const handle = handlerFor<Tx>(store, broken);
      const oneByOne: Handle<Tx> = async (event, context) => {
        await handle(event, context);
        if (nameOf(event) !== "c1") return;
        // The second event of account a has its turn after this one, when the letter of the first is recorded.
        await outcome(eventually("It is recorded", async () => (await letters(store)).includes("a1"), 2_000));
      };
      await run({ handle: oneByOne, concurrency: 1 });
      assert.deepEqual(await letters(store), ["a1", "a2"]);
    },
  },
  {
    name: "park/atomic/vanished",
    promise:
      "Wherever a consumer vanishes while it parks, the letter and the checkpoint that passes it are there together.",
    inAnyLog: true,
    tooth: parksAfterwards,
    check: async <Tx>(ward: Ward<Tx>) => {
      const at = await history(ward.log, "a1 b1 a2");
      ward.broken.add("a1");
      for (const step of PARK_STEPS) {
        const vanish = new AbortController();
        const crash = (): void => {
          vanish.abort();
          throw unavailable();
        };
        const victim = await ward.open({}, (real) =>
          mortal(crashingWithLetter(vanishing(real), step, crash), vanish.signal),
        );
        const handle = handlerFor(victim, ward.broken, step);
        await outcome(ward.run({ name: step, handle, store: victim, leaseMs: 1, signal: vanish.signal }));
        assert.ok(vanish.signal.aborted, `It vanished ${step}.`);
        await assertParkedOnce(ward, step, at.get("a1"));
      }
    },
  },
  {
    name: "park/atomic/killed",
    promise:
      "Wherever a process is killed while it parks, the letter and the checkpoint that passes it are there together.",
    when: { shared: true },
    kinds: ["projector", "observer", "saga"],
    tooth: parksAfterwards,
    check: async (ward) => {
      const at = await history(ward.log, "a1 b1 a2");
      ward.broken.add("a1");
      for (const step of PARK_STEPS) {
        const child = await ward.spawn("dead-letters/die-parking", { kind: ward.kind, step, broken: ["a1"] });
        assert.equal(await child.gone(), "SIGKILL", `The process was killed ${step}.`);
        await assertParkedOnce(ward, step, at.get("a1"));
      }
    },
  },
  {
    name: "park/not-written",
    promise: "An event whose letter cannot be written is not passed: it is parked once letters can be written again.",
    inAnyLog: true,
    tooth: losesLetters,
    check: async ({ store, log, run, broken, open }) => {
      const at = await history(log, "a1 b1 a2");
      broken.add("a1");
      const full = await open({}, (real) =>
        changeLetters(real, () => ({ park: () => Promise.reject(new Error("The disk is full.")) })),
      );
      const error = await outcome(run({ store: full }));
      assert.ok(error instanceof Error && error.message === "The disk is full.", "The caller is told.");
      assert.ok(
        ((await store.consumers.checkpoint(ORDERS)) ?? START) < (at.get("a1") ?? START),
        "The event is not passed.",
      );
      await run();
      assert.deepEqual([await letters(store), (await effects(store))["a"]], [["a1", "a2"], undefined]);
    },
  },
  {
    name: "park/remove-races",
    promise:
      "When the last letter of a sequence is given up while an event is parked behind it, that event is not left behind.",
    inAnyLog: true,
    tooth: freesNothing,
    check: async <Tx>({ store, log, run, broken, open }: Ward<Tx>) => {
      const at = await history(log, "a1");
      broken.add("a1");
      await run();
      await history(log, "b1 a2");
      const operator = await open();
      const [handling, asked] = [gate(), gate()];
      const handle = handlerFor<Tx>(store, broken);
      const held: Handle<Tx> = async (event, context) => {
        if (nameOf(event) === "b1") {
          handling.open();
          await asked.passed;
        }
        await handle(event, context);
      };
      const cycle = run({ handle: held });
      await Promise.race([handling.passed, cycle]);
      // Where the transaction keeps other writes out, it is asked right after it.
      const request = operator.deadLetters.remove(ORDERS, at.get("a1") ?? "all");
      asked.open();
      await cycle;
      assert.equal(await request, 1);
      await run();
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a2"], b: ["b1"] }]);
    },
  },
  {
    name: "limits/in-all",
    promise: "A consumer stops instead of parking more events than its failure policy allows, and loses none.",
    inAnyLog: true,
    tooth: parksWithoutEnd,
    check: (ward) => assertStopsWhenFull(ward, { maxParked: 2 }, "a1 b1 c1", ["a1", "b1"]),
  },
  {
    name: "limits/per-sequence",
    promise:
      "A consumer stops instead of parking more events of one sequence than its failure policy allows, and loses none.",
    tooth: parksWithoutEnd,
    check: (ward) => assertStopsWhenFull(ward, { maxParkedPerSequence: 2 }, "a1 b1 a2 a3", ["a1", "b1", "a2"]),
  },
  {
    name: "limits/neighbours",
    promise: "What stands before the event that cannot be parked any more is handled before the consumer stops.",
    tooth: parksWithoutEnd,
    check: async ({ store, log, run, broken }) => {
      await history(log, "a1");
      broken.add("a1");
      await run();
      const at = await history(log, "b1 c1 a2 d1");
      const result = await run({ failure: { maxParked: 1 } });
      assert.equal(result.kind, "stopped");
      assert.equal(result.position, at.get("c1"), "It stands before the event.");
      const { b, c } = await effects(store);
      assert.deepEqual([b, c], [["b1"], ["c1"]]);
    },
  },
];

const sagas: readonly WardLaw[] = [
  {
    name: "park/saga-start",
    promise:
      "When the event that would start a saga is parked, later events of its association wait, and none starts the saga.",
    kinds: ["saga"],
    tooth: holdsNothingBack,
    check: async ({ store, log, consume }) => {
      const broken = new Set(["start"]);
      await log.append(steps("start:order=1", "step:order=1", "start:order=1", "step:order=2"));
      await consume(store, process(broken));
      assert.deepEqual(await waiting(store), ["start", "step", "start"]);
      assert.deepEqual(await collect(store.sagas.list(ORDERS)), []);
    },
  },
  {
    name: "park/saga-other-association",
    promise: "While an event of a saga is parked, events that find the saga by another association wait as well.",
    kinds: ["saga"],
    tooth: remembersOneSequence,
    check: async ({ store, log, consume }) => {
      const broken = new Set(["step"]);
      await log.append(
        steps("start:order=1,payment=9", "start:order=2", "step:order=1", "paid:payment=9", "paid:order=2"),
      );
      await consume(store, process(broken));
      assert.deepEqual(await waiting(store), ["step", "paid"]);
      assert.deepEqual(await trails(store), ["start", "start paid"], "The other saga goes on.");
      broken.clear();
      await store.deadLetters.retry(ORDERS, "all");
      await consume(store, process(broken));
      assert.deepEqual(await trails(store), ["start paid", "start step paid"]);
    },
  },
  {
    name: "park/saga-several",
    promise: "When one of several sagas that an event finds fails, none of them has it, and all of them wait.",
    kinds: ["saga"],
    tooth: remembersOneSequence,
    check: async ({ store, log, consume }) => {
      // It fails for the second of two.
      const broken = new Set(["step@2"]);
      await log.append(
        steps("start:order=1", "start:order=2", "tie:order=1,customer=7", "tie:order=2,customer=7", "step:customer=7"),
      );
      await log.append(steps("paid:order=1", "paid:order=2"));
      await consume(store, process(broken));
      assert.deepEqual(await waiting(store), ["step", "paid", "paid"]);
      assert.deepEqual(await trails(store), ["start tie", "start tie"]);
    },
  },
  {
    name: "park/saga-waiting-holds",
    promise: "An event that waits holds back what belongs to any saga that it would have found.",
    kinds: ["saga"],
    tooth: remembersOneSequence,
    check: async ({ store, log, consume }) => {
      const broken = new Set(["begin"]);
      await log.append(steps("begin:order=1", "start:payment=9", "tie:payment=9,order=1"));
      await consume(store, process(broken));
      assert.deepEqual(await waiting(store), ["begin"]);
      await log.append(steps("paid:order=1"));
      await consume(store, process(broken));
      await log.append(steps("paid:payment=9"));
      await consume(store, process(broken));
      assert.deepEqual(
        await waiting(store),
        ["begin", "paid", "paid"],
        "The last one waits for a saga of the one before.",
      );
    },
  },
  {
    name: "park/saga-born-since",
    promise: "A waiting event that fails when its turn comes holds back every saga that it finds by then.",
    kinds: ["saga"],
    tooth: keepsSequences,
    check: async ({ store, log, consume }) => {
      const broken = new Set(["start"]);
      await log.append(steps("start:order=1,payment=9", "step:order=1"));
      await consume(store, process(broken));
      broken.clear();
      broken.add("step");
      await store.deadLetters.retry(ORDERS, "all");
      await consume(store, process(broken));
      await log.append(steps("paid:payment=9"));
      await consume(store, process(broken));
      assert.deepEqual(await waiting(store), ["step", "paid"]);
    },
  },
  {
    name: "replay/saga-born-since",
    promise: "A letter that is replayed waits behind the older ones of every saga that it finds by then.",
    kinds: ["saga"],
    tooth: looksForOldSequences,
    check: async ({ store, log, consume }) => {
      const broken = new Set(["start", "begin"]);
      await log.append(steps("start:order=1,payment=9", "step:order=1", "begin:payment=9"));
      await consume(store, process(broken));
      assert.deepEqual(await waiting(store), ["start", "step", "begin"]);
      broken.clear();
      broken.add("step");
      await store.deadLetters.retry(ORDERS, "all");
      await consume(store, process(broken));
      // The saga that "start" has begun is found by "begin" as well, and "step" is before it there.
      assert.deepEqual([await waiting(store), await trails(store)], [["step", "begin"], ["start"]]);
      broken.clear();
      await store.deadLetters.retry(ORDERS, "all");
      await consume(store, process(broken));
      assert.deepEqual(await trails(store), ["start step begin"]);
    },
  },
];

const policies: readonly WardLaw[] = [
  {
    name: "poison/policy-park",
    promise: "Unless told otherwise a projector and an observer park what they cannot handle, and go on.",
    kinds: ["projector", "batch", "observer"],
    inAnyLog: true,
    tooth: underPolicy("stops unless it is told otherwise", { then: "stop" }),
    check: async ({ store, log, run, broken }) => {
      await history(log, "a1 b1");
      broken.add("a1");
      const { kind } = await run({ failure: { then: undefined } });
      assert.equal(kind, "caught-up");
      assert.deepEqual([await letters(store), await effects(store)], [["a1"], { b: ["b1"] }]);
    },
  },
  {
    name: "poison/policy-default-stop",
    promise: "Unless told otherwise a saga stops at what it cannot handle.",
    kinds: ["saga"],
    tooth: skipsInstead,
    check: async ({ store, log, run, broken }) => {
      await history(log, "a1 b1");
      broken.add("a1");
      const { kind } = await run({ failure: { then: undefined } });
      assert.equal(kind, "stopped");
      assert.deepEqual([await letters(store), await effects(store)], [[], {}]);
    },
  },
  {
    name: "poison/plain-consumer-stops",
    promise: "A plain consumer stops at what it cannot handle.",
    kinds: ["projector"],
    tooth: parksForEveryone,
    check: async ({ store, log, consume }) => {
      await log.append(deposit("a", 1));
      const plain = {
        name: ORDERS,
        handle: () => {
          throw new Error("poison");
        },
      };
      assert.equal((await consume(store, plain)).kind, "stopped");
      assert.equal(await store.deadLetters.count(ORDERS), 0);
    },
  },
  {
    name: "poison/unreadable",
    promise:
      "What cannot be read cannot be parked: a consumer stops before it unless it is to skip it, and loses nothing.",
    kinds: ["projector", "batch", "saga"],
    tooth: skipsInstead,
    check: async ({ store, run, open }) => {
      await history(store, "a1 b1");
      const sealed = { aggregate: account("c"), events: [{ type: "deposited", data: { amount: "sealed" } }] };
      const { positions } = await store.append(sealed);
      await history(store, "d1");
      const keyless = await open({ serializer: { toJson: (value) => value, fromJson: refuseSealed } });
      const result = await run({ log: keyless });
      assert.equal(result.kind, "stopped");
      assert.ok(isTidemarkError(result.error, "UNREADABLE"), "The error says why.");
      assert.ok(
        positions.every((position) => result.position < position),
        "It stands before the event.",
      );
      assert.deepEqual([await letters(store), await effects(store)], [[], { a: ["a1"], b: ["b1"] }]);
      assert.equal((await run({ log: keyless, failure: { then: "skip" } })).kind, "caught-up");
      assert.deepEqual(await effects(store), { a: ["a1"], b: ["b1"], d: ["d1"] });
    },
  },
  {
    name: "handler/event-immutable/dead-letter",
    promise: "A dead letter holds the event as it was recorded, whatever handlers have done to it.",
    inAnyLog: true,
    tooth: sharesEvents,
    check: async <Tx>({ store, log, run }: Ward<Tx>) => {
      await log.append({
        aggregate: account("a"),
        events: [{ type: "deposited", data: { amount: 1 }, metadata: { createdBy: "me" } }],
      });
      const [recorded] = structuredClone((await log.readAll()).events);
      const careless: Handle<Tx> = async (event) => {
        Reflect.set(event.data, "amount", 99);
        Reflect.set(event.metadata, "createdBy", "you");
        throw new Error("poison");
      };
      for (let cycle = 0; cycle < 3; cycle++) {
        await run({ handle: careless });
        const [letter] = await collect(store.deadLetters.list(ORDERS));
        assert.deepEqual(letter?.event, recorded);
        await store.deadLetters.retry(ORDERS, "all");
      }
    },
  },
];

/** Parking, for laws.ts. */
export const parkingLaws: readonly Law[] = [
  ...forWard("dead-letters", [...parking, ...sagas]),
  ...forWard("consuming", policies),
  {
    id: "zones/fenced/dead-letter",
    promise: "After a takeover the old holder parks nothing and removes no letter.",
    tooth: commitsWhatFailed,
    check: async (bench) => {
      const { store, consume } = bench;
      const broken = new Set(["b1"]);
      const parked = (await history(store, "a1 b1")).get("b1") ?? START;
      await consume(store, patient("projector", handlerFor(store, broken)));
      const { old } = await takeOver(bench);
      const letter = { position: START, bucket: 0, sequences: ["s"], event: "{}", cause: undefined, attempts: 1 };
      const late = old.commit(async ({ records }) => {
        await records.deadLetters.park(old.consumer, [letter], {});
        await records.deadLetters.remove(old.consumer, parked, {});
        return old.position;
      });
      await refuses("ZONE_LOST", late);
      assert.deepEqual(await letters(store), ["b1"]);
    },
  },
];

/** Who was cut off while it parked a1 leaves a letter or none, and whoever goes on comes to the same end. */
async function assertParkedOnce<Tx>(
  { store, run, kind }: Ward<Tx>,
  name: string,
  position: bigint | undefined,
): Promise<void> {
  const checkpoint = (await store.consumers.checkpoint(name)) ?? 0n;
  const passed = position !== undefined && checkpoint >= position;
  const parked = (await letters(store, {}, name)).includes("a1");
  // An observer writes down what is done above its checkpoint, letters too.
  if (passed || kind !== "observer")
    assert.equal(parked, passed, `Cut off ${name}: the letter is there, as the checkpoint is.`);
  await eventually("Its zone can be entered", async () => (await run({ name })).kind !== "busy");
  assert.deepEqual(await letters(store, {}, name), ["a1", "a2"], `Cut off ${name}: nothing is lost.`);
  const { b = [] } = await effects(store, name);
  // At least once is all that is promised of an observer.
  assert.deepEqual([...new Set(b)], ["b1"], `Cut off ${name}: others go on.`);
  if (kind !== "observer") assert.equal(b.length, 1, `Cut off ${name}: nothing is done twice.`);
}

/** Everything is broken, and more than the policy allows would be parked. Once it is mended everything is handled. */
async function assertStopsWhenFull<Tx>(
  { store, log, run, broken, kind }: Ward<Tx>,
  failure: FailurePolicy,
  names: string,
  allowed: readonly string[],
): Promise<void> {
  await history(log, names);
  for (const name of names.split(" ")) broken.add(name);
  const result = await run({ failure });
  assert.equal(result.kind, "stopped");
  assert.ok(isTidemarkError(result.error, "DEAD_LETTERS_FULL"), "The error says why.");
  const parked = await letters(store);
  assert.ok(parked.length <= allowed.length, `No more than ${allowed.length} are parked.`);
  // An observer's events fail side by side: those that are not written down yet count as not handled.
  if (kind !== "observer") assert.deepEqual(parked, allowed);
  broken.clear();
  await store.deadLetters.retry(ORDERS, "all");
  assert.equal((await run({ failure })).kind, "caught-up", "It goes on once the cause is mended.");
  const handled = Object.values(await effects(store)).flat();
  assert.deepEqual(handled.toSorted(), names.split(" ").toSorted());
}

const STEPS = ["begin", "start", "step", "tie", "paid"] as const;
const PROPERTIES = ["order", "payment", "customer"] as const;

interface Step {
  readonly name: string;
  readonly associations: Readonly<Record<string, string>>;
}

/** A saga that keeps the names of its events, gathers their associations, and fails at what is broken. */
function process<Tx>(broken: ReadonlySet<string>): SagaConsumer<Tx> {
  const handling = (
    name: string,
    property: string,
  ): SagaHandling<Tx, readonly string[], RecordedEvent<string, Step>> => ({
    association: { property, value: (event) => event.data.associations[property] },
    starts: name === "begin" || name === "start",
    handle: (event, state) => {
      const associations = { ...state?.associations, ...event.data.associations };
      if (broken.has(name) || broken.has(`${name}@${state?.associations["order"]}`))
        throw new Error(`${name} is broken`);
      return { associations, data: [...(state?.data ?? []), name] };
    },
  });
  const handlers = STEPS.flatMap((name) =>
    PROPERTIES.map((property) => [`${name} by ${property}`, handling(name, property)] as const),
  );
  return defineSaga<Tx, readonly string[], Record<string, Step>>({
    name: ORDERS,
    start: "beginning",
    failure: { attempts: 2, minDelayMs: 1, maxDelayMs: 5, then: "park" },
    handlers: Object.fromEntries(handlers),
  });
}

/** "paid:payment=9,order=1" is an event that finds sagas by payment 9 and adds order 1 to their associations. */
function steps(...texts: readonly string[]): AppendRequest {
  const events = texts.map((text) => {
    const [name = "", list = ""] = text.split(":");
    const pairs = list.split(",").map((pair) => pair.split("="));
    const associations: Record<string, string> = {};
    for (const [property = "", value = ""] of pairs) associations[property] = value;
    return { type: `${name} by ${pairs[0]?.[0]}`, data: { name, associations } };
  });
  return { aggregate: account("steps"), events };
}

async function waiting<Tx>(store: Store<Tx>): Promise<readonly string[]> {
  return (await collect(store.deadLetters.list(ORDERS))).map(({ event }) => event.type.split(" ")[0] ?? "");
}

async function trails<Tx>(store: Store<Tx>): Promise<readonly string[]> {
  const found = await collect(store.sagas.list(ORDERS));
  return found.map(({ data }) => (data as readonly string[]).join(" ")).toSorted();
}

/** A serializer that has lost the key to some events. */
function refuseSealed(json: unknown): unknown {
  if (JSON.stringify(json).includes("sealed")) throw new Error("The key is lost.");
  return json;
}
