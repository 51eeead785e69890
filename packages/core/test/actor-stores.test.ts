import { describe, expect, test } from "vitest";
import { type ActorStore, type EventStore, type EventStreamOptions, isTidemarkError } from "@tidemark/core";
import type { SnapshotRow } from "@tidemark/core/spi";
import type { ActorAccess } from "../src/actor/access.ts";
import { createActorStores } from "../src/actor/actor-store.ts";
import { createEventStores } from "../src/actor/event-store.ts";
import { createCodec, type Serializer } from "../src/codec.ts";

describe("a state with a toJSON()", () => {
  test("has the system fields of what that gives, which is what is stored", async () => {
    const { actors, written } = await create({ known: ["s-1"] });
    const fields = { _id: "s-1", _ancestor: "a:1", _lastEventId: "e1", _lastEventAppliedOn: new Date(5) };
    await actors.store("4711", "snapshot", "a:2", new Account(fields));
    const row = { ancestor: "a:1", lastEventId: "e1", lastEventAt: 5, systemId: "s-1" };
    expect(written).toMatchObject([row]);
    expect(JSON.parse(written[0]?.state ?? "")).toMatchObject({ _ancestor: "a:1", balance: 7 });
    await refuses(actors.store("4711", "snapshot", "a:2", new Account({ _vector: "a:3" })), /_vector/);
  });

  test("is given to a serializer as it is", async () => {
    const given: unknown[] = [];
    const serializer: Serializer = {
      toJson: (value) => {
        given.push(value);
        return "sealed";
      },
      fromJson: (json) => json,
    };
    const { actors, written } = await create({ serializer });
    const account = new Account({ _ancestor: "a:1" });
    await actors.store("4711", "snapshot", "a:2", account);
    expect(given).toEqual([account]);
    expect(written).toMatchObject([{ state: '"sealed"', ancestor: "a:1" }]);
  });

  test("is refused where that gives no object", async () => {
    const { actors, written } = await create();
    for (const [state, what] of [
      [new Date(0), "a string"],
      [{ toJSON: () => 5 }, "the number 5"],
      [{ toJSON: () => null }, "null"],
      [[], "an array"],
      [null, "null"],
      [undefined, "undefined"],
    ] as const) {
      const storing = actors.store("4711", "snapshot", "a:1", state as object);
      await refuses(storing, `An actor's state is an object, and so is what its toJSON() gives, got ${what}.`);
    }
    expect(written).toEqual([]);
  });
});

test("_lastEventAppliedOn may be a Date, or a text or milliseconds that Date reads", async () => {
  const { actors, written } = await create();
  for (const time of [new Date(7), "1970-01-01T00:00:00.007Z", 7, 0]) {
    await actors.store("4711", "snapshot", "a:1", { _lastEventAppliedOn: time });
  }
  expect(written.map(({ lastEventAt }) => lastEventAt)).toEqual([7, 7, 7, 0]);
  for (const [time, what] of [
    ["yesterday", "a string"],
    [true, "the boolean true"],
  ] as const) {
    const storing = actors.store("4711", "snapshot", "a:1", { _lastEventAppliedOn: time });
    await refuses(
      storing,
      `actor._lastEventAppliedOn is a Date, or a text or milliseconds that Date reads, got ${what}.`,
    );
  }
});

describe("a mistake is told with what was given and what to do", () => {
  test("of a date", async () => {
    const { actors, events } = await create();
    const now = 1_700_000_000_000 as unknown as Date;
    const message = "is a valid Date, got the number 1700000000000. Give new Date(…).";
    await refuses(actors.getSystemId("4711", now), `asOf ${message}`);
    await refuses(actors.fetchByLastEventDate("4711", now), `lastEventDate ${message}`);
    await refuses(events.getEventsSince("s-1", now), `date ${message}`);
    await refuses(actors.getActorId("s-1", null as never), "asOf is a valid Date, got null. Give new Date(…).");
    const occurredOn = new Date("yesterday");
    const pack = events.storeEventPack("s-1", "a:1", [{ id: "e1", type: "moved", data: {}, occurredOn }]);
    await refuses(pack, "event.occurredOn is a valid Date, got an invalid Date. Give new Date(…).");
  });

  test("of an id", async () => {
    const { actors } = await create();
    await refuses(actors.fetch(null as never), "actorId is a non-empty string, got null.");
    await refuses(actors.fetch(""), "actorId is a non-empty string, got an empty string.");
    await refuses(actors.fetch(5n as never), "actorId is a non-empty string, got the bigint 5.");
    const mint = (async () => "s-1") as unknown as () => string;
    await refuses(actors.identities.resolve("4711", mint), /^mint returns .* got a promise\./);
    await refuses(actors.identities.resolve("4711", null as never), /^mint is a function .* got null\.$/);
  });

  test("of the options of a stream", async () => {
    const { events } = await create();
    const read = async (options: unknown): Promise<void> => {
      for await (const event of events.getEventStreamFor("s-1", options as EventStreamOptions)) void event;
    };
    await refuses(read(null), "options is an object, or left out, got null.");
    await refuses(read({ filter: {} }), "filter is a function that tells whether an event is wanted, got an object.");
  });
});

class Account {
  readonly #fields: object;

  constructor(fields: object) {
    this.#fields = fields;
  }

  toJSON(): object {
    return { ...this.#fields, balance: 7 };
  }
}

interface Fixture {
  readonly actors: ActorStore;
  readonly events: EventStore;
  readonly written: readonly (SnapshotRow & { readonly systemId: string })[];
}

/** Stores over nothing: of what is written, the snapshots are kept. `known` are the system ids that were mapped. */
async function create(given: { known?: readonly string[]; serializer?: Serializer } = {}): Promise<Fixture> {
  const { known = [], serializer } = given;
  const written: (SnapshotRow & { systemId: string })[] = [];
  const access: ActorAccess = {
    snapshots: {
      heads: async () => [],
      get: async () => undefined,
      chain: async () => [],
      links: async () => [],
      atEvent: async () => undefined,
      atTime: async () => undefined,
      store: async ({ systemId }, _vector, decide) => {
        const change = decide({ stored: undefined, heads: [] });
        if (change !== undefined) written.push({ ...change.row, systemId });
      },
    },
    identities: {
      systemId: async () => undefined,
      actorId: async (_type, systemId) => (known.includes(systemId) ? "a business id" : undefined),
      map: async () => undefined,
      resolve: async (_type, _actorId, systemId) => systemId,
    },
    packs: { get: async () => undefined, store: async () => undefined },
    codec: createCodec(serializer),
    ids: () => "an id",
    enter: () => undefined,
    read: (_name, _op, work) => work(),
    write: (_name, _keys, work) => work(),
    readEventsById: async () => [],
    appendMissing: async () => {
      throw new Error("Nothing is appended here.");
    },
  };
  return {
    actors: await createActorStores(access).create("account"),
    events: await createEventStores(access).create("account"),
    written,
  };
}

async function refuses(call: Promise<unknown>, message: string | RegExp): Promise<void> {
  const error: unknown = await call.catch((caught: unknown) => caught);
  expect(isTidemarkError(error, "INVALID_ARGUMENT")).toBe(true);
  expect(error).toMatchObject({
    message: typeof message === "string" ? message : (expect.stringMatching(message) as string),
  });
}
