// On real servers: what they answer is told by them alone.
import { createDatabase, explain, type FreshDatabase, findServer } from "@tidemark/test-servers";
import { createProxy, type Proxy } from "@tidemark/test-servers/proxy";
import { type Connection, createConnection } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { mysql } from "./mysql.ts";
import { ask } from "./ways.ts";

const LOST: unknown = expect.objectContaining({ code: "PROTOCOL_CONNECTION_LOST" });
const MARK = "the mark";

for (const name of ["mysql", "mariadb"]) {
  const answer = await findServer(name);
  const isMissing = answer.kind === "missing";
  describe.skipIf(isMissing)(isMissing ? explain(answer) : `a proxy of ${name}`, () => {
    let database: FreshDatabase;
    let proxy: Proxy;
    let client: Connection;

    beforeAll(async () => {
      if (isMissing) return;
      database = await createDatabase(answer.server.url);
      await ask(mysql, database.url, "create table note (text varchar(100)) engine = InnoDB");
    });
    beforeEach(async () => {
      await ask(mysql, database.url, "delete from note");
      proxy = await createProxy(database.url);
      client = await connect();
    });
    afterEach(async () => {
      client.destroy();
      await proxy.close();
    });
    afterAll(async () => {
      if (!isMissing) await answer.server.stop();
    });

    const connect = async (): Promise<Connection> => {
      const connection = await createConnection({ uri: proxy.url, multipleStatements: true });
      connection.on("error", () => {});
      return connection;
    };
    const notes = (): Promise<readonly unknown[]> => ask(mysql, database.url, "select text from note");

    test("passes on what both sides say", async () => {
      await client.query("insert into note values (?)", ["a"]);
      expect((await client.execute("select text from note where text = ?", ["a"]))[0]).toEqual([{ text: "a" }]);
    });

    test("cuts connections, and new ones, until it is mended", async () => {
      proxy.cut();
      await expect(client.query("select 1")).rejects.toThrow();
      await expect(connect()).rejects.toThrow();
      proxy.mend();
      client = await connect();
      expect((await client.query("select 1 as one"))[0]).toEqual([{ one: 1 }]);
    });

    for (const [way, write] of [
      ["a query", (at: Connection) => at.query("insert into note values (?)", [MARK])],
      ["a prepared statement", (at: Connection) => at.execute("insert into note values (?)", [MARK])],
      ["a prepared statement's text", (at: Connection) => at.execute(`insert into note values ('${MARK}')`)],
    ] as const) {
      test(`loses the answer to the commit of the transaction that sends a text in ${way}, and no other`, async () => {
        const neighbour = await connect();
        const loss = proxy.loseAnswer(MARK);
        await client.query("start transaction");
        await write(client);
        await neighbour.query("start transaction; insert into note values ('another'); commit");
        expect(loss.isLost).toBe(false);
        await expect(client.query("commit")).rejects.toEqual(LOST);
        expect(loss.isLost).toBe(true);
        expect(await notes()).toEqual(expect.arrayContaining([{ text: MARK }, { text: "another" }]));
        await neighbour.end();
      });

      test(`loses the answer to ${way} that commits by itself`, async () => {
        const loss = proxy.loseAnswer(MARK);
        await expect(write(client)).rejects.toEqual(LOST);
        expect(loss.isLost).toBe(true);
        expect(await notes()).toEqual([{ text: MARK }]);
      });
    }

    test("loses the answer to many statements at once that commit", async () => {
      const loss = proxy.loseAnswer(MARK);
      await expect(
        client.query("start transaction; insert into note values (?); select text from note; commit", [MARK]),
      ).rejects.toEqual(LOST);
      expect(loss.isLost).toBe(true);
      expect(await notes()).toEqual([{ text: MARK }]);
    });

    test("loses no answer to what fails or is rolled back", async () => {
      const loss = proxy.loseAnswer(MARK);
      await expect(client.query("insert into nothing values (?)", [MARK])).rejects.toThrow("nothing");
      await expect(client.execute("insert into nothing values (?)", [MARK])).rejects.toThrow("nothing");
      await client.query("start transaction");
      await client.query("insert into note values (?)", [MARK]);
      await client.query("savepoint here");
      await client.query("rollback to savepoint here");
      await client.query("rollback");
      await client.ping();
      expect(loss.isLost).toBe(false);
      expect(await notes()).toEqual([]);
      await expect(client.query("insert into note values (?)", ["another"])).rejects.toEqual(LOST);
      expect(loss.isLost).toBe(true);
    });

    test("passes on every kind of answer in the transaction whose commit is lost", async () => {
      const loss = proxy.loseAnswer(MARK);
      await client.query("start transaction");
      await client.query("insert into note values (?)", [MARK]);
      expect((await client.query("select text from note where text = 'none'"))[0]).toEqual([]);
      expect((await client.query("select '' as a, null as b"))[0]).toEqual([{ a: "", b: null }]);
      expect((await client.execute("select ? as a, '' as b", ["x"]))[0]).toEqual([{ a: "x", b: "" }]);
      expect((await client.query("select 1 as a; select 2 as b"))[0]).toEqual([[{ a: 1 }], [{ b: 2 }]]);
      const [long] = await client.query("select repeat('x', 3000000) as a union all select repeat('y', 70000)");
      expect(JSON.stringify(long)).toHaveLength(3_070_000 + '[{"a":""},{"a":""}]'.length);
      expect((await client.execute("update note set text = ?", [MARK]))[0]).toMatchObject({ affectedRows: 1 });
      expect(loss.isLost).toBe(false);
      await expect(client.query("commit")).rejects.toEqual(LOST);
      expect(loss.isLost).toBe(true);
    });
  });
}
