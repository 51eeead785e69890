import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import { consume, type Projector } from "@tidemark/core";
import type { Database } from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { expectedTables } from "../src/expected.ts";
import { importReleases } from "../src/import-releases.ts";
import { defineRadar } from "../src/radar.ts";
import { createTables, type ReadModel, readTables } from "../src/read-model.ts";
import { readReleases, type Release } from "../src/releases.ts";

const releases = readReleases(48);

async function withLog(given: readonly Release[], test: (store: SqliteStore) => Promise<void>): Promise<void> {
  await using store = await createSqliteStore({ file: ":memory:" });
  await importReleases(store, given);
  await createTables(store, 1);
  await test(store);
}

function tablesIn(store: SqliteStore): Promise<ReadModel> {
  return store.transaction(async (tx) => readTables(tx, 1));
}

/** Handles the event at `position`, and dies before its batch can commit. */
function dyingAt(position: bigint): Projector<Database> {
  const radar = defineRadar(1);
  const { handler } = radar;
  if (handler.kind !== "each") throw new Error("The radar takes one event at a time.");
  return {
    ...radar,
    failure: { ...radar.failure, attempts: 1, then: "stop" },
    handler: {
      kind: "each",
      handle: async (event, context) => {
        await handler.handle(event, context);
        if (event.position === position) throw new Error("killed");
      },
    },
  };
}

describe("the import", () => {
  it("writes the releases in the order of their publication", () =>
    withLog(releases, async (store) => {
      const { events } = await store.readAll();
      expect(events.map((event) => event.id)).toEqual(
        releases.map(({ package: name, version }) => `${name}@${version}`),
      );
      expect(events.map((event) => event.occurredOn)).toEqual(releases.map((release) => release.publishedOn));
    }));

  it("writes nothing the second time, and only what is new the third time", () =>
    withLog(releases, async (store) => {
      const head = await store.head();
      expect(await importReleases(store, releases)).toMatchObject({ appended: 0, repeated: releases.length });
      expect(await store.head()).toBe(head);

      const more = readReleases(releases.length + 5);
      expect(await importReleases(store, more)).toMatchObject({ appended: 5, repeated: releases.length });
    }));
});

describe("the radar", () => {
  it("has the expected tables wherever one run ends and the next begins", async () => {
    for (let first = 1; first < releases.length; first++) {
      await withLog(releases, async (store) => {
        const part = await consume(store, defineRadar(1), { fetchSize: 7, maxEvents: first });
        expect(part).toMatchObject({ kind: "limit", handled: first });
        expect(await tablesIn(store)).toEqual(expectedTables(releases.slice(0, first)));

        expect(await consume(store, defineRadar(1), { fetchSize: 7 })).toMatchObject({ kind: "caught-up" });
        expect(await tablesIn(store)).toEqual(expectedTables(releases));
      });
    }
  });

  it("has the expected tables whichever event it dies at, with its effects written and not committed", async () => {
    for (let at = 1; at <= releases.length; at++) {
      await withLog(releases, async (store) => {
        expect(await consume(store, dyingAt(BigInt(at)), { fetchSize: 7 })).toMatchObject({ kind: "stopped" });
        expect(await tablesIn(store)).toEqual(expectedTables(releases.slice(0, at - 1)));

        expect(await consume(store, defineRadar(1), { fetchSize: 7 })).toMatchObject({ kind: "caught-up" });
        expect(await tablesIn(store)).toEqual(expectedTables(releases));
      });
    }
  });

  it("would show an event that was applied twice", () =>
    withLog(releases, async (store) => {
      await consume(store, defineRadar(1));
      await store.consumers.reset("release-radar", "beginning");
      await consume(store, defineRadar(1), { maxEvents: 1 });
      expect(await tablesIn(store)).not.toEqual(expectedTables(releases));
    }));
});
