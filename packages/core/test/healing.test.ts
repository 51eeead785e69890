import { describe, expect, test } from "vitest";
import {
  type ActorEvent,
  heal,
  type HealingSources,
  type HealOptions,
  isTidemarkError,
  type RecordedEvent,
  type Snapshot,
  START,
  vectorClock,
} from "@tidemark/core";
import { findSharedVector, type Walk, walkChain } from "@tidemark/core/spi";

/** Two siblings of a:1, one of them two snapshots away from it. */
const HISTORY = {
  "a:1": { ancestor: undefined, lastEventId: "02" },
  "a:2": { ancestor: "a:1", lastEventId: "04" },
  "a:1;b:1": { ancestor: "a:1", lastEventId: "03" },
  "a:1;b:2": { ancestor: "a:1;b:1", lastEventId: "06" },
} as const;

const PACKS = { "a:1": ["01", "02"], "a:2": ["04"], "a:1;b:1": ["03"], "a:1;b:2": ["05", "06"] };

describe("heal", () => {
  test("collects the packs of whole chains and what the log has after the ancestor, in order and each once", async () => {
    const sources = sourcesOf(HISTORY, PACKS, ["01", "02", "04", "07"]);
    const healing = await heal(sources, siblings("a:2", "a:1;b:2"));
    expect(healing).toMatchObject({ systemId: "s-1", ancestor: { vector: "a:1" }, vector: "a:2;b:2", withoutPack: [] });
    expect(idsOf(healing.events)).toEqual(["03", "04", "05", "06", "07"]);
  });

  test("finds in packs what sorts before the ancestor's last event, and leaves out what that has in it", async () => {
    const packs = { ...PACKS, "a:1": ["01", "02", "021"], "a:2": ["015", "04"] };
    const healing = await heal(sourcesOf(HISTORY, packs, ["01", "02", "021", "04"]), siblings("a:2", "a:1;b:2"));
    expect(idsOf(healing.events)).toEqual(["015", "03", "04", "05", "06"]);
  });

  test("makes do with the log where a pack is missing, and says which", async () => {
    const { "a:1;b:2": _, ...packs } = PACKS;
    const healing = await heal(
      sourcesOf(HISTORY, packs, ["01", "02", "03", "04", "05", "06"]),
      siblings("a:2", "a:1;b:2"),
    );
    expect(healing.withoutPack).toEqual(["a:1;b:2"]);
    expect(idsOf(healing.events)).toEqual(["03", "04", "05", "06"]);
  });

  test("takes the packs below a missing one", async () => {
    const { "a:1;b:2": _, ...packs } = PACKS;
    const healing = await heal(sourcesOf(HISTORY, packs, ["01", "02", "04"]), siblings("a:2", "a:1;b:2"));
    expect(healing.withoutPack).toEqual(["a:1;b:2"]);
    expect(idsOf(healing.events)).toEqual(["03", "04"]);
  });

  test("without any packs replays the log", async () => {
    const healing = await heal(sourcesOf(HISTORY, {}, ["01", "02", "03", "04"]), siblings("a:2", "a:1;b:2"));
    expect(healing.withoutPack).toEqual(["a:1;b:1", "a:1;b:2", "a:2"]);
    expect(idsOf(healing.events)).toEqual(["03", "04"]);
  });

  test("begins anew where siblings share nothing", async () => {
    const history = { "a:1": { ancestor: undefined, lastEventId: "01" }, "b:1": { ancestor: "", lastEventId: "02" } };
    const healing = await heal(sourcesOf(history, { "a:1": ["01"], "b:1": ["02"] }, ["03"]), siblings("a:1", "b:1"));
    expect(healing).toMatchObject({ ancestor: undefined, vector: "a:1;b:1" });
    expect(idsOf(healing.events)).toEqual(["01", "02", "03"]);
  });

  test("asks for the pack of a snapshot once, however many chains go through it", async () => {
    const history = { ...HISTORY, "a:1;b:1;c:1": { ancestor: "a:1;b:1", lastEventId: "08" } };
    const sources = sourcesOf(history, { ...PACKS, "a:1;b:1;c:1": ["08"] }, []);
    const healing = await heal(sources, siblings("a:2", "a:1;b:2", "a:1;b:1;c:1"));
    expect(idsOf(healing.events)).toEqual(["03", "04", "05", "06", "08"]);
    expect(sources.asked).toEqual(["a:2", "a:1;b:2", "a:1;b:1", "a:1;b:1;c:1", "a:1"]);
  });

  test("takes the pack of a snapshot that is missing, and says so where there is none", async () => {
    const history = { "a:2": { ancestor: "a:1", lastEventId: "04" }, "b:2": { ancestor: "b:1", lastEventId: "06" } };
    const healing = await heal(sourcesOf(history, { ...PACKS, "b:2": ["06"] }, []), siblings("a:2", "b:2", "c:1"));
    expect(healing).toMatchObject({ ancestor: undefined, vector: "a:2;b:2;c:1", withoutPack: ["b:1", "c:1"] });
    expect(idsOf(healing.events)).toEqual(["01", "02", "04", "06"]);
  });

  test("raises the vector by the node that heals where others may know other events", async () => {
    const heals = async (log: readonly string[]): Promise<string> =>
      (await heal(sourcesOf(HISTORY, PACKS, log), siblings("a:2", "a:1;b:2"), { node: "b" })).vector;
    expect(await heals(["01", "02", "04"])).toBe("a:2;b:2");
    expect(await heals(["01", "02", "04", "041"])).toBe("a:2;b:3");
  });

  test("says which event is the last in the result, be it the ancestor's", async () => {
    const last = async (log: readonly string[], packs: Packs): Promise<string | undefined> =>
      (await heal(sourcesOf(HISTORY, packs, log), siblings("a:2", "a:1;b:1"))).lastEventId;
    expect(await last(["07"], PACKS)).toBe("07");
    expect(await last([], { "a:2": ["011"], "a:1;b:1": ["012"] })).toBe("02");
    const nothing = { "a:1": { ancestor: undefined, lastEventId: "01" }, "b:1": { ancestor: "", lastEventId: "01" } };
    expect((await heal(sourcesOf(nothing, {}, []), siblings("a:1", "b:1"))).lastEventId).toBeUndefined();
  });

  test("takes an ancestor that is given", async () => {
    const sources = sourcesOf(HISTORY, PACKS, []);
    const ancestor = snapshot("a:1;b:1", "03", "a:1");
    expect(idsOf((await heal(sources, siblings("a:1;b:2"), { ancestor })).events)).toEqual(["05", "06"]);
  });

  test("refuses no siblings, those of several actors, and what is none", async () => {
    const sources = sourcesOf(HISTORY, PACKS, []);
    const other = { ...snapshot("a:2"), systemId: "s-2" };
    const odd = [undefined, siblings("a:2")[0], [null], ["a:2"]] as unknown as (readonly Snapshot[])[];
    for (const given of [[], [...siblings("a:1;b:2"), other], ...odd]) {
      const error: unknown = await heal(sources, given).catch((caught: unknown) => caught);
      expect(isTidemarkError(error, "INVALID_ARGUMENT")).toBe(true);
    }
  });

  test("refuses what are no stores and no options, and says what is missing", async () => {
    const { actors, events } = sourcesOf(HISTORY, PACKS, []);
    const given = (sources: unknown, options?: unknown): Promise<unknown> =>
      heal(sources as HealingSources, siblings("a:2", "a:1;b:2"), options as HealOptions);
    for (const [healing, message] of [
      [given({ actors }), "sources.events is an event store, got undefined. Give heal { actors, events }."],
      [given({ events }), "sources.actors is an actor store, got undefined. Give heal { actors, events }."],
      [given(null), "sources.actors is an actor store, got undefined. Give heal { actors, events }."],
      [given({ actors, events }, null), "options is an object, or left out, got null."],
    ] as const) {
      const error: unknown = await healing.catch((caught: unknown) => caught);
      expect(isTidemarkError(error, "INVALID_ARGUMENT")).toBe(true);
      expect(error).toMatchObject({ message });
    }
  });
});

type History = Readonly<Record<string, { readonly ancestor: string | undefined; readonly lastEventId: string }>>;
type Packs = Readonly<Record<string, readonly string[] | undefined>>;

function sourcesOf(
  history: History,
  packs: Packs,
  log: readonly string[],
): HealingSources & { asked: readonly string[] } {
  const asked: string[] = [];
  const walk: Walk = {
    read: async (vector, limit) => {
      const ancestor = history[vector]?.ancestor;
      return limit > 0 && vector in history
        ? [{ vector, ancestor }, ...(ancestor === undefined ? [] : await walk.read(ancestor, limit - 1))]
        : [];
    },
    excluded: new Set(),
    report: () => undefined,
  };
  return {
    asked,
    actors: {
      chain: (_id, vector) => walkChain(vectorClock.stringify(vector), walk),
      findAncestor: async (_id, siblings) => {
        const found = await findSharedVector(
          siblings.map(({ vector }) => vector),
          walk,
        );
        return found === undefined ? undefined : snapshot(found, history[found]?.lastEventId, history[found]?.ancestor);
      },
    },
    events: {
      getEventPackFor: async (_id, vector) => {
        const text = vectorClock.stringify(vector);
        asked.push(text);
        return packs[text]?.map(event);
      },
      getEventsFor: async (_id, lastEventId = "") => log.filter((id) => id > lastEventId).map(recorded),
    },
  };
}

function siblings(...vectors: readonly string[]): readonly Snapshot[] {
  return vectors.map((vector) => snapshot(vector));
}

function snapshot(vector: string, lastEventId?: string, ancestor?: string): Snapshot {
  return {
    systemId: "s-1",
    snapshotId: `snapshot of ${vector}`,
    vector,
    version: vectorClock.version(vector),
    ancestor,
    lastEventId,
    lastEventOn: undefined,
    state: {},
  };
}

function event(id: string): ActorEvent {
  return { id, type: "moved", data: {}, metadata: {}, occurredOn: new Date(0) };
}

function recorded(id: string): RecordedEvent {
  const aggregate = { context: "default", type: "ship", id: "s-1" };
  return { ...event(id), position: START, aggregate, version: 1, recordedAt: new Date(0) };
}

function idsOf(events: readonly ActorEvent[]): readonly string[] {
  return events.map(({ id }) => id);
}
