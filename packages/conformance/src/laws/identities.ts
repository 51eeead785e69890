import type { ActorInput, ActorStore } from "@tidemark/core";
import { ACCOUNT, actorsOf, ALICE, latest, momentOf, save } from "../actors.ts";
import { assert, atOnce, elsewhere, fulfils, later, refuses } from "../expect.ts";
import type { Law } from "../law.ts";
import { actorsThat } from "../lies/actors.ts";
import {
  asksAsOf,
  asksTheClockFirst,
  beginsAnew,
  identitiesThat,
  looksBeforeItMaps,
  mintsEachTime,
  mapsOneAtATime,
  mistakesIds,
} from "../lies/identities.ts";

const mapLaws: readonly Law[] = [
  {
    id: "identities/map/both-ways",
    promise: "Ids that are mapped stand for each other: each is found by the other one.",
    tooth: identitiesThat("finds business ids by system ids only", () => ({ systemId: async () => undefined })),
    check: async ({ store, open }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      await actors.mapIds("s-2", "bob");
      for (const from of [actors, await actorsOf(await open())]) {
        assert.deepEqual(await Promise.all([from.getSystemId(ALICE), from.getSystemId("bob")]), ["s-1", "s-2"]);
        assert.deepEqual(await Promise.all([from.getActorId("s-1"), from.getActorId("s-2")]), [ALICE, "bob"]);
      }
    },
  },
  {
    id: "identities/map/unknown",
    promise: "An id that was never mapped stands for nothing, and neither does one asked for from the wrong side.",
    tooth: actorsThat("takes an unknown id for what it stands for itself", ({ getSystemId }) => ({
      getSystemId: async (actorId, asOf, op) => (await getSystemId(actorId, asOf, op)) ?? actorId,
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      const ids = ["bob", "s-1", "alic", "alice "];
      assert.deepEqual(
        await Promise.all(ids.map((id) => actors.getSystemId(id))),
        ids.map(() => undefined),
      );
      assert.deepEqual(await Promise.all(["s-2", ALICE].map((id) => actors.getActorId(id))), [undefined, undefined]);
    },
  },
  {
    id: "identities/map/again",
    promise: "The mapping that is in force again is no change: it began when it began.",
    tooth: beginsAnew,
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      const began = await beginningOf(actors, ALICE, "s-1");
      const moment = await momentOf(store);
      await actors.mapIds("s-1", ALICE);
      assert.equal(await beginningOf(actors, ALICE, "s-1"), began);
      assert.deepEqual([await actors.getSystemId(ALICE, moment), await actors.getSystemId(ALICE)], ["s-1", "s-1"]);
      assert.deepEqual([await actors.getActorId("s-1", moment), await actors.getActorId("s-1")], [ALICE, ALICE]);
    },
  },
  {
    id: "identities/remap/latest",
    promise:
      "After a remapping ids stand for what they were mapped to last, from the moment at which the call returns.",
    tooth: identitiesThat("remembers what an id stood for first", (port) => {
      const first = new Map<string, string>();
      return {
        systemId: async (type, actorId, asOf, op) => {
          const stood = first.get(actorId) ?? (await port.systemId(type, actorId, asOf, op));
          if (stood !== undefined) first.set(actorId, stood);
          return stood;
        },
      };
    }),
    check: async ({ store, open }) => {
      const actors = await actorsOf(store);
      const other = await actorsOf(await open());
      for (const systemId of ["s-1", "s-2", "s-3", "s-1"]) {
        await actors.mapIds(systemId, ALICE);
        assert.equal(await other.getSystemId(ALICE), systemId);
        assert.equal(await other.getActorId(systemId), ALICE);
      }
    },
  },
  {
    id: "identities/remap/as-of-before",
    promise: "As of a moment before its first mapping an id stands for nothing, whatever it is mapped to by now.",
    tooth: asksAsOf("answers for today whatever moment is asked for", () => undefined),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const before = await momentOf(store);
      await actors.mapIds("s-1", ALICE);
      assert.equal(await actors.getSystemId(ALICE, before), undefined);
      assert.equal(await actors.getActorId("s-1", before), undefined);
      assert.equal(await actors.getSystemId(ALICE, new Date(0)), undefined);
      assert.equal(await actors.getSystemId(ALICE, new Date(8_640_000_000_000_000)), "s-1");
      await refuses("INVALID_ARGUMENT", actors.getSystemId(ALICE, new Date(Number.NaN)));
    },
  },
  {
    id: "identities/remap/as-of-between",
    promise: "As of a moment in the past ids stand for what they stood for then: history is never rewritten.",
    tooth: identitiesThat("knows the present and nothing before it", (port) => ({
      systemId: async (type, actorId, asOf, op) => {
        const now = await port.systemId(type, actorId, undefined, op);
        const then = await port.systemId(type, actorId, asOf, op);
        return now === then ? then : undefined;
      },
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const moments: Date[] = [];
      for (const systemId of ["s-1", "s-2", "s-3", "s-1"]) {
        await actors.mapIds(systemId, ALICE);
        moments.push(await momentOf(store));
      }
      for (let time = 0; time < 2; time++) {
        const stood = await Promise.all(moments.map((moment) => actors.getSystemId(ALICE, moment)));
        assert.deepEqual(stood, ["s-1", "s-2", "s-3", "s-1"]);
        await actors.mapIds("s-9", ALICE);
        await actors.mapIds("s-1", "bob");
      }
      assert.deepEqual(await Promise.all(moments.map((moment) => actors.getActorId("s-2", moment))), [
        ...[undefined, ALICE, ALICE, ALICE],
      ]);
    },
  },
  {
    id: "identities/remap/as-of-exactly",
    promise: "A mapping is in force from the millisecond at which it began, and no millisecond before.",
    tooth: identitiesThat("lets one side of a mapping begin a millisecond late", (port) => ({
      actorId: (type, systemId, asOf, op) => port.actorId(type, systemId, asOf && asOf - 1, op),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      const first = await momentOf(store);
      await actors.mapIds("s-2", ALICE);
      const second = await momentOf(store);
      const [one, two] = [await beginningOf(actors, ALICE, "s-1"), await beginningOf(actors, ALICE, "s-2")];
      const at = (time: number): Promise<unknown> =>
        Promise.all([actors.getSystemId(ALICE, new Date(time)), actors.getActorId("s-2", new Date(time))]);
      assert.ok(one < first.getTime() && first.getTime() < two && two < second.getTime());
      // Both sides of it begin at once.
      assert.deepEqual(await at(two), ["s-2", ALICE]);
      assert.deepEqual(await at(two - 1), ["s-1", undefined]);
      assert.deepEqual(await at(one - 1), [undefined, undefined]);
    },
  },
  {
    id: "identities/remap/after-the-lock",
    promise: "A mapping that waited for another one begins after it, by the clock read when its turn had come.",
    tooth: asksTheClockFirst,
    check: async ({ store, open, database }) => {
      const actors = await actorsOf(store);
      const other = await actorsOf(await open());
      const raw = await database.begin();
      await elsewhere(async () => (await actorsOf(store.within(raw.tx))).mapIds("s-1", ALICE));
      const waiting = later(other.mapIds("s-2", ALICE));
      await atOnce(waiting, 500);
      await raw.commit();
      await waiting;
      assert.equal(await actors.getSystemId(ALICE), "s-2");
      const [one, two] = [await beginningOf(actors, ALICE, "s-1"), await beginningOf(actors, ALICE, "s-2")];
      // The first began when it was written, the second when the first had committed.
      assert.ok(
        two >= one + 450,
        `A mapping that waited for 500 ms began ${two - one} ms after the one that it waited for.`,
      );
    },
  },
  {
    id: "identities/remap/same-instant",
    promise: "Of mappings in quick succession, within one millisecond even, the later one is in force.",
    tooth: identitiesThat("takes mappings in quick succession for one", (port) => {
      let last = -Infinity;
      return {
        map: async (type, systemId, actorId, op) => {
          const now = performance.now();
          if (now - last < 30) return;
          last = now;
          await port.map(type, systemId, actorId, op);
        },
      };
    }),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await store.transaction(async (_tx, inside) => {
        const within = await actorsOf(inside);
        for (let n = 0; n < 40; n++) {
          await within.mapIds(`s-${n % 3}`, ALICE);
          assert.equal(await within.getSystemId(ALICE), `s-${n % 3}`);
        }
      });
      const late = await momentOf(store);
      assert.equal(await actors.getSystemId(ALICE), "s-0");
      assert.equal(await actors.getSystemId(ALICE, late), "s-0");
      for (let n = 0; n < 20; n++) await actors.mapIds("s-0", `name ${n % 3}`);
      assert.equal(await actors.getActorId("s-0"), "name 1");
      assert.equal(await actors.getActorId("s-0", await momentOf(store)), "name 1");
    },
  },
  {
    id: "identities/remap/none-hidden",
    promise:
      "Each mapping of an id begins in a later millisecond than the one before it: none hides another one's past.",
    tooth: asksAsOf(
      "remembers when a mapping began to fifty milliseconds",
      (asOf) => asOf && Math.ceil(asOf / 50) * 50,
    ),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const systemIds = Array.from({ length: 12 }, (_, n) => `s-${n}`);
      const before = await momentOf(store);
      await store.transaction(async (_tx, inside) => {
        const within = await actorsOf(inside);
        for (const systemId of systemIds.slice(0, 6)) await within.mapIds(systemId, ALICE);
      });
      for (const systemId of systemIds.slice(6)) await actors.mapIds(systemId, ALICE);
      const after = await momentOf(store);
      const stood = new Set<string | undefined>();
      for (let time = before.getTime(); time <= after.getTime();) {
        const systemId = await actors.getSystemId(ALICE, new Date(time));
        stood.add(systemId);
        const next = systemIds.indexOf(systemId ?? "") + 1;
        time = next < systemIds.length ? await firstAt(actors, systemIds.slice(next), time, after.getTime()) : Infinity;
      }
      assert.deepEqual([...stood], [undefined, ...systemIds]);
    },
  },
  {
    id: "identities/remap/actor-id-moves",
    promise:
      "A business id that moves to another actor stands for that one; the one that it left is still known by it.",
    tooth: identitiesThat("forgets the actor that a business id has left", (port) => ({
      actorId: async (type, systemId, asOf, op) => {
        const actorId = await port.actorId(type, systemId, asOf, op);
        if (actorId === undefined) return undefined;
        return (await port.systemId(type, actorId, asOf, op)) === systemId ? actorId : undefined;
      },
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      await actors.mapIds("s-2", ALICE);
      assert.equal(await actors.getSystemId(ALICE), "s-2");
      assert.deepEqual(await Promise.all([actors.getActorId("s-1"), actors.getActorId("s-2")]), [ALICE, ALICE]);
    },
  },
  {
    id: "identities/remap/system-id-moves",
    promise: "An actor that gets another business id is known by that one; it is still found by the one of before.",
    tooth: identitiesThat("forgets the business id of before", (port) => ({
      systemId: async (type, actorId, asOf, op) => {
        const systemId = await port.systemId(type, actorId, asOf, op);
        if (systemId === undefined) return undefined;
        return (await port.actorId(type, systemId, asOf, op)) === actorId ? systemId : undefined;
      },
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      await actors.mapIds("s-1", "bob");
      assert.equal(await actors.getActorId("s-1"), "bob");
      assert.deepEqual(await Promise.all([actors.getSystemId(ALICE), actors.getSystemId("bob")]), ["s-1", "s-1"]);
    },
  },
  {
    id: "identities/remap/history-follows",
    promise: "Snapshots hang on the system id: a business id that moves leaves its history where it is.",
    tooth: actorsThat("keeps snapshots by business ids", (actors) => ({
      store: (actor, ...rest) => actors.store(apart(actor), ...rest),
      fetch: (actor, op) => actors.fetch(apart(actor), op),
    })),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      await actors.mapIds("s-1", ALICE);
      await save(actors, "a:1");
      await actors.mapIds("s-2", ALICE);
      assert.equal(await latest(actors), undefined);
      await save(actors, "b:1");
      await actors.mapIds("s-1", "bob");
      assert.equal(await latest(actors, "bob"), "a:1");
      assert.equal(await latest(actors, "s-1"), "a:1");
      assert.equal(await latest(actors), "b:1");
      await actors.mapIds("s-1", ALICE);
      assert.equal(await latest(actors), "a:1");
    },
  },
  {
    id: "identities/map/crosswise",
    promise:
      "Mappings that are made at once, crosswise, all succeed, and each leaves a pair that stands for each other.",
    tooth: mapsOneAtATime,
    check: async ({ store, open }) => {
      const stores = [await actorsOf(store), await actorsOf(await open())];
      const [first] = stores;
      assert.ok(first !== undefined);
      const mapping: Promise<void>[] = [];
      for (let n = 0; n < 24; n++) mapping.push((stores[n % 2] ?? first).mapIds(`s-${n % 3}`, `name ${n % 4}`));
      await fulfils(Promise.all(mapping), "Ids may be mapped at once");
      for (let n = 0; n < 4; n++) assert.match((await first.getSystemId(`name ${n}`)) ?? "", /^s-[012]$/);
      for (let n = 0; n < 3; n++) assert.match((await first.getActorId(`s-${n}`)) ?? "", /^name [0123]$/);
    },
  },
];

const resolveLaws: readonly Law[] = [
  {
    id: "identities/resolve",
    promise:
      "`resolve` gives the system id that a business id stands for, and mints one only where it stands for none.",
    tooth: mintsEachTime,
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      let minted = 0;
      const mint = (): string => `minted ${++minted}`;
      for (let time = 0; time < 3; time++) {
        assert.equal(await actors.identities.resolve(ALICE, mint), "minted 1");
      }
      assert.equal(minted, 1);
      assert.deepEqual([await actors.getSystemId(ALICE), await actors.getActorId("minted 1")], ["minted 1", ALICE]);
      await actors.mapIds("s-2", ALICE);
      assert.equal(await actors.identities.resolve(ALICE, mint), "s-2");
      const flake = await actors.identities.resolve("bob");
      assert.match(flake, /^[0-9A-Za-z]{22}$/);
      assert.equal(await actors.getSystemId("bob"), flake);
      await refuses(
        "INVALID_ARGUMENT",
        actors.identities.resolve("carol", () => ""),
      );
      assert.equal(await actors.getSystemId("carol"), undefined);
    },
  },
  {
    id: "identities/resolve/at-once",
    promise: "Of any number that resolve a new business id at once, all get the same system id.",
    tooth: looksBeforeItMaps,
    check: async ({ store, open }) => {
      const stores = await Promise.all([store, await open(), await open()].map((each) => actorsOf(each)));
      for (let round = 0; round < 4; round++) {
        const id = `actor ${round}`;
        const resolving = stores.flatMap(({ identities }, n) =>
          Array.from({ length: 4 }, (_, m) => identities.resolve(id, () => `s-${round}-${n}-${m}`)),
        );
        const told = new Set(await fulfils(Promise.all(resolving), "Ids may be resolved at once"));
        assert.equal(told.size, 1, `${told.size} system ids for one actor.`);
        assert.deepEqual([...told], [await stores[0]?.getSystemId(id)]);
      }
    },
  },
  {
    id: "identities/concurrent-create",
    promise: "Of two processes that resolve the same new business ids at once, both learn the same system ids.",
    when: { shared: true },
    tooth: identitiesThat("mints a system id in each process", (port) => {
      const own = new Map<string, string>();
      return {
        systemId: async (_type, actorId) => own.get(actorId),
        resolve: async (type, actorId, systemId, op) => {
          own.set(actorId, systemId);
          await port.map(type, systemId, actorId, op);
          return systemId;
        },
      };
    }),
    check: async ({ store, spawn }) => {
      const ids = Array.from({ length: 25 }, (_, n) => `actor ${n}`);
      const children = await Promise.all(["one", "two"].map((minted) => spawn("identities/resolve", { ids, minted })));
      await Promise.all(children.map((child) => child.hear("ready")));
      for (const child of children) child.say("go");
      const [one, two] = await Promise.all(children.map((child) => child.result()));
      assert.deepEqual(one, two);
      const actors = await actorsOf(store);
      assert.deepEqual(await Promise.all(ids.map((id) => actors.getSystemId(id))), one);
    },
  },
];

const textLaws: readonly Law[] = [
  {
    id: "identities/type-isolation",
    promise: "Ids of one type of actors stand for nothing under another type.",
    tooth: mistakesIds("compares types without regard to case", (text) => text.toLowerCase()),
    check: async ({ store }) => {
      const types = [ACCOUNT, "Account", "account ", "order"];
      for (const type of types) await (await actorsOf(store, type)).mapIds(`s of ${type}`, ALICE);
      for (const type of types) {
        const actors = await actorsOf(store, type);
        assert.equal(await actors.getSystemId(ALICE), `s of ${type}`);
        for (const other of types) {
          assert.equal(await actors.getActorId(`s of ${other}`), other === type ? ALICE : undefined);
        }
      }
    },
  },
  {
    id: "identities/bytes",
    promise: "Ids are compared by bytes, on both sides: case, accents, quotes and spaces at the end tell two apart.",
    tooth: mistakesIds("ignores spaces at the end of ids", (text) => text.trimEnd()),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const odd = [
        "a",
        "A",
        "á",
        "a\u0301",
        "ß",
        "ss",
        "'",
        '"',
        "''; drop",
        "%",
        "_",
        "\\",
        "\n.",
        "\u{1f30a}",
        "\u{1f30b}",
      ];
      const ids = [...odd, ...odd.map((id) => `${id} `)];
      for (const [n, id] of ids.entries()) {
        await actors.mapIds(id, `name ${n}`);
        await actors.mapIds(`s-${n}`, id);
      }
      for (const [n, id] of ids.entries()) {
        assert.equal(await actors.getActorId(id), `name ${n}`);
        assert.equal(await actors.getSystemId(id), `s-${n}`);
      }
    },
  },
  {
    id: "identities/longest",
    promise:
      "Ids of 400 bytes are told apart by their last one; longer ones, and what no database can hold, are refused.",
    tooth: mistakesIds("keeps the first hundred characters of an id", (text) => text.slice(0, 100)),
    check: async ({ store }) => {
      const actors = await actorsOf(store);
      const long = "\u{1f30a}".repeat(99);
      const ends = ["\u{1f30a}", "\u{1f30b}", "   x", "    "];
      for (const end of ends) await actors.mapIds(`${long}${end}`, `${end}${long}`);
      for (const end of ends) {
        assert.equal(await actors.getActorId(`${long}${end}`), `${end}${long}`);
        assert.equal(await actors.getSystemId(`${end}${long}`), `${long}${end}`);
      }
      for (const [code, bad] of [
        ["LIMIT_EXCEEDED", "x".repeat(401)],
        ["INVALID_ARGUMENT", ""],
        ["INVALID_ARGUMENT", "a\0"],
        ["INVALID_ARGUMENT", "\ud800"],
      ] as const) {
        await refuses(code, actors.mapIds("s", bad));
        await refuses(code, actors.mapIds(bad, "a"));
        await refuses(code, actors.getSystemId(bad));
        await refuses(
          code,
          actors.identities.resolve("new", () => bad),
        );
      }
      assert.equal(await actors.getActorId("s"), undefined);
    },
  },
];

export const identityLaws: readonly Law[] = [...mapLaws, ...resolveLaws, ...textLaws];

function apart(actor: ActorInput): ActorInput {
  return typeof actor === "string" ? `business ${actor}` : actor;
}

/** The first millisecond after `from` as of which the actor stands for one of these, as it does at `to`. */
async function firstAt(actors: ActorStore, systemIds: readonly string[], from: number, to: number): Promise<number> {
  let [low, high] = [from + 1, to];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (systemIds.includes((await actors.getSystemId(ALICE, new Date(middle))) ?? "")) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The first millisecond as of which `actorId` stands for `systemId`, of which it was told once only, and after all others. */
async function beginningOf(actors: ActorStore, actorId: string, systemId: string): Promise<number> {
  const before = new Set([undefined, ...(systemId === "s-2" ? ["s-1"] : [])]);
  let [low, high] = [0, 8_640_000_000_000_000];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const stood = await actors.getSystemId(actorId, new Date(middle));
    if (before.has(stood)) low = middle + 1;
    else high = middle;
  }
  assert.equal(await actors.getSystemId(actorId, new Date(low)), systemId);
  return low;
}
