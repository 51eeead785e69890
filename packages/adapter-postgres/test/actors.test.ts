import { createPostgresAdapter, type PostgresTransaction } from "@tidemark/adapter-postgres";
import type { Adapter, SnapshotRow, TransactionPort } from "@tidemark/core/spi";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { describe, expect, test } from "vitest";
import { backends, cleanups, codeOf, connect, schemaName, thrownBy, until, url, useDatabase } from "./fixture.ts";

describeWithServer("postgres", (server) => {
  useDatabase(server);

  const actor = { type: "account", systemId: "s" };
  const [store, map, resolve] = [
    (port: Records, vector = "late:1") => storeHead(port, vector),
    (port: Records, systemId = "late") => port.identities.map("account", systemId, "a", {}),
    (port: Records, systemId = "late") => port.identities.resolve("account", "a", systemId, {}),
  ];

  describe.each(["repeatable read", "serializable"])("in a caller's transaction that is %s", (level) => {
    test.each([
      ["storing a snapshot", "there was one", store],
      ["mapping an id", "it was mapped", map],
      ["resolving an id", "it was mapped", resolve],
    ])("%s is CONTENTION where %s before, and again since it began", async (_name, _before, write) => {
      const adapter = await openAdapter();
      await write(adapter, "v:1");
      const client = await connect();
      await client.query(`begin isolation level ${level}; select 1`);
      await (write === resolve ? map : write)(adapter, "v:2");
      expect(await codeOf(write(adapter.within(client)))).toBe("CONTENTION");
      await client.query("rollback");
    });

    test.each([
      ["storing the first snapshot", store],
      ["mapping an id for the first time", map],
      ["resolving an id that was unknown", resolve],
    ])("%s is CONTENTION where somebody else has, since it began", async (_name, write) => {
      const adapter = await openAdapter();
      const client = await connect();
      await client.query(`begin isolation level ${level}; select 1`);
      await write(adapter, "v:1");
      expect(await codeOf(write(adapter.within(client)))).toBe("CONTENTION");
      await client.query("rollback");
    });
  });

  test("who stores a snapshot beside an open transaction that has waits, and decides by what it has left", async () => {
    const [adapter, client, watcher] = [await openAdapter(), await connect(), await connect()];
    await client.query("begin");
    await storeHead(adapter.within(client), "a:1");
    let seen: readonly string[] | undefined;
    const waiting = storeHead(adapter, "b:1", (heads) => (seen = heads));
    await until(async () => (await backends(watcher)).some(({ waits }) => waits));
    expect([seen, await adapter.snapshots.heads(actor, {})]).toEqual([undefined, []]);
    await client.query("commit");
    await waiting;
    expect(seen).toEqual(["a:1"]);
  });

  test("what a decision throws leaves a caller's transaction usable, with nothing written", async () => {
    const [adapter, client] = [await openAdapter(), await connect()];
    await client.query("begin");
    const refuse = (): never => {
      throw new Error("refused");
    };
    const refused = await thrownBy(adapter.within(client).snapshots.store(actor, "a:1", refuse, {}));
    await storeHead(adapter.within(client), "b:1");
    await client.query("commit");
    expect(refused).toMatchObject({ message: "refused" });
    expect(await adapter.snapshots.heads(actor, {})).toMatchObject([{ vector: "b:1" }]);
    expect(await adapter.snapshots.get(actor, "a:1", {})).toBeUndefined();
  });

  test("of vectors that share what the index has of them, links are in order and none is left out", async () => {
    const adapter = await openAdapter();
    const vectors = ["c", "a", "b"].map((end) => `${"n".repeat(1_000)}${end}:1`).concat("z:1", "");
    for (const vector of vectors) await storeHead(adapter, vector);
    const found: string[] = [];
    for (let after: string | undefined; ; after = found.at(-1)) {
      const page = await adapter.snapshots.links(actor, after, 1, {});
      if (page.length === 0) break;
      found.push(...page.map(({ vector }) => vector));
    }
    expect(found).toEqual(vectors.toSorted());
  });

  test("the longest keys fit into the indexes, also what does not compress", async () => {
    const adapter = await openAdapter();
    const longest = { type: noise(100), systemId: noise(400) };
    const vector = `${noise(3_996)}:1`;
    const row = { ...rowOf(vector), snapshotId: noise(200), lastEventId: noise(200), lastEventAt: 1 };
    await adapter.snapshots.store(longest, vector, () => ({ row, isHead: true, dominated: [] }), {});
    expect(await adapter.snapshots.heads(longest, {})).toEqual([row]);
    await adapter.identities.map(longest.type, longest.systemId, noise(400), {});
    await adapter.packs.store(longest, vector, "[]", {});
  });

  test("a clock that was set back puts no mapping before an earlier one", async () => {
    const [adapter, client] = [await openAdapter(), await connect()];
    await map(adapter, "first");
    const ahead = Date.now() + 3_600_000;
    await client.query(`update ${schemaName}.identity_key set last_at = $1 where id = 'a'`, [ahead]);
    await map(adapter, "second");
    await map(adapter, "third");
    const asOf = (time?: number) => adapter.identities.systemId("account", "a", time, {});
    expect([await asOf(), await asOf(ahead + 1), await asOf(ahead)]).toEqual(["third", "second", "first"]);
  });

  type Records = Pick<TransactionPort, "snapshots" | "identities">;

  function storeHead(
    { snapshots }: Records,
    vector: string,
    look: (heads: readonly string[]) => void = () => undefined,
  ): Promise<void> {
    return snapshots.store(
      actor,
      vector,
      ({ heads }) => {
        look(heads);
        return { row: rowOf(vector), isHead: true, dominated: [] };
      },
      {},
    );
  }

  async function openAdapter(): Promise<Adapter<PostgresTransaction>> {
    const connection = { connectionString: url, application_name: schemaName };
    const adapter = createPostgresAdapter({ connection, schemaName });
    await adapter.open("migrate", {});
    cleanups.push(() => adapter.close());
    return adapter;
  }
});

function rowOf(vector: string): SnapshotRow {
  return {
    ...{ vector, snapshotId: vector, version: 1, ancestor: undefined, state: "{}" },
    ...{ lastEventId: undefined, lastEventAt: undefined },
  };
}

/** Of four bytes each, no two alike. */
function noise(bytes: number): string {
  return Array.from({ length: bytes / 4 }, (_, n) => String.fromCodePoint(0x20000 + ((n * 7_919) % 0x9fff))).join("");
}
