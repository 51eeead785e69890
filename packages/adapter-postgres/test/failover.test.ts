import { createPostgresStore } from "@tidemark/adapter-postgres";
import { isTidemarkError, isTransient } from "@tidemark/core";
import { explain, findServer, type TestServer } from "@tidemark/test-servers";
import { type Standby, startStandby } from "@tidemark/test-servers/postgres-standby";
import { createProxy } from "@tidemark/test-servers/proxy";
import { afterAll, describe, expect, test } from "vitest";
import {
  cleanups,
  closing,
  codeOf,
  connect,
  idsOf,
  persist,
  placed,
  schemaName,
  thrownBy,
  until,
  url,
  useDatabase,
} from "./fixture.ts";

describe("a primary with a standby", async () => {
  // pg_basebackup comes with an installed server only, and copies a server of its own version or older.
  const answer = await findServer("postgres", { durable: true, ways: ["binaries"] });
  if (answer.kind === "missing") return test.skip(`not tested: ${explain(answer)}`, () => undefined);
  const standby = await startStandby(answer.server.url).catch((error: unknown) => String(error));
  if (typeof standby === "string") {
    await answer.server.stop();
    return test.skip(`not tested: no standby can be started: ${standby}`, () => undefined);
  }
  return withBoth(answer.server, standby);
});

function withBoth(primary: TestServer, standby: Standby): void {
  afterAll(() => Promise.all([primary.stop(), standby.stop()]));
  useDatabase(primary, { drops: false });

  const onStandby = (): string => {
    const parts = new URL(standby.url);
    parts.pathname = new URL(url).pathname;
    return parts.href;
  };

  /** Until the standby has what the primary has committed. */
  async function replicated(): Promise<void> {
    const [from, to] = [await connect(primary.url), await connect(standby.url)];
    const { rows } = await from.query<{ lsn: string }>("select pg_current_wal_lsn()::text as lsn");
    await until(async () => {
      const answer = await to.query<{ there: boolean }>("select pg_last_wal_replay_lsn() >= $1::pg_lsn as there", [
        rows[0]?.lsn,
      ]);
      return answer.rows[0]?.there;
    });
  }

  /** That the server is a standby, in a way that lets callers try again. */
  async function sayStandby(...calls: readonly Promise<unknown>[]): Promise<void> {
    for (const error of await Promise.all(calls.map(thrownBy))) {
      expect(isTidemarkError(error, "UNAVAILABLE") && error.message).toContain("standby");
      expect(isTransient(error)).toBe(true);
    }
  }

  test("a store on the standby is refused, and told why", async () => {
    const store = closing(await createPostgresStore({ connection: url, schemaName }));
    await store.append(placed("1"));
    await replicated();
    await sayStandby(createPostgresStore({ connection: onStandby(), schemaName }));
  });

  test("a store that is led to the standby can neither append nor tell the head, and reads aggregates", async () => {
    const line = await createProxy(url);
    cleanups.push(() => line.close());
    const store = closing(await createPostgresStore({ connection: line.url, schemaName, retry: { attempts: 1 } }));
    await store.append(placed("1"));
    await replicated();
    line.redirect(standby.url);
    line.cut();
    await until(async () => (await codeOf(store.head())) === "UNAVAILABLE");
    line.mend();
    const reads = async (): Promise<readonly number[]> => {
      const versions: number[] = [];
      for await (const event of store.readAggregate({ type: "order", id: "1" })) versions.push(event.version);
      return versions;
    };
    expect(await persist(reads)).toEqual([1]);
    const lent = store.transaction((_tx, inside) => inside.append(placed("2")));
    await sayStandby(store.append(placed("2")), store.head(), store.readAll(), lent);
  });

  test("a store that has to make its schema on the standby is refused", async () => {
    await replicated();
    const missing = createPostgresStore({ connection: onStandby(), schemaName });
    expect(await codeOf(missing)).toBe("UNAVAILABLE");
    const checked = createPostgresStore({ connection: onStandby(), schemaName, schema: "check" });
    expect(await codeOf(checked)).toBe("SCHEMA_MISMATCH");
  });

  test("a log with ordering: counter is read on the standby", async () => {
    const store = closing(await createPostgresStore({ connection: url, schemaName, ordering: "counter" }));
    await store.append(placed("1"));
    await replicated();
    const other = closing(await createPostgresStore({ connection: onStandby(), schemaName, ordering: "counter" }));
    expect(await idsOf(other)).toEqual(["1"]);
    expect(await other.head()).toBe(await store.head());
    expect(await codeOf(other.append(placed("2")))).toBe("UNAVAILABLE");
  });

  // The last one: it ends the primary.
  test("a store goes on when the standby is promoted, and skips nothing that it had", async () => {
    const line = await createProxy(url);
    cleanups.push(() => line.close());
    const store = closing(await createPostgresStore({ connection: line.url, schemaName, retry: { attempts: 1 } }));
    for (let n = 1; n <= 40; n++) await store.append(placed(`before ${n}`));
    await store.consumers.declare("bookkeeping", { kind: "projector" });
    const read = await store.readAll({ limit: 20 });
    await replicated();

    await primary.stop();
    expect(await codeOf(store.append(placed("nobody there")))).toBe("UNAVAILABLE");
    line.redirect(standby.url);
    await until(async () => {
      const error = await thrownBy(store.append(placed("too early")));
      expect(error).toMatchObject({ code: "UNAVAILABLE" });
      return error instanceof Error && error.message.includes("standby");
    });
    await standby.promote();
    const { positions } = await persist(() => store.append(placed("after 1")));
    await store.transaction((_tx, inside) => inside.append(placed("after 2")));

    expect(positions[0]).toBeGreaterThan(read.next);
    const rest = await store.readAll({ after: read.next });
    const ids = [...read.events, ...rest.events].map((event) => event.aggregate.id);
    const before = Array.from({ length: 40 }, (_, n) => `before ${n + 1}`);
    expect(ids).toEqual([...before, "after 1", "after 2"]);
    expect(await store.consumers.get("bookkeeping")).toMatchObject({ enabled: true });
  });
}
