import { createDatabase, explain, findServer } from "@tidemark/test-servers";
import { afterAll, describe, expect, test } from "vitest";
import { mysql } from "./mysql.ts";
import { postgres } from "./postgres.ts";
import { ask } from "./ways.ts";

const EMPTY = "select count(*) as tables from information_schema.tables where table_schema";
const kinds = [
  {
    dialect: postgres,
    answer: await findServer("postgres-oldest", { ways: ["npm"] }),
    about: `${EMPTY} = 'public'`,
    fresh: { tables: "0" },
    unknown: /does not exist/,
    slow: "select '🌊', pg_sleep(1)",
  },
  ...(await Promise.all(
    ["mysql", "mariadb"].map(async (name) => ({
      dialect: mysql,
      answer: await findServer(name),
      about: `${EMPTY} = database()`,
      fresh: { tables: 0 },
      unknown: /Unknown database/,
      slow: "select '🌊', sleep(1)",
    })),
  )),
];

for (const { dialect, answer, about, fresh, unknown, slow } of kinds) {
  const isMissing = answer.kind === "missing";
  describe.skipIf(isMissing)(isMissing ? explain(answer) : `on ${answer.server.name}`, () => {
    const serverUrl = isMissing ? "" : answer.server.url;
    afterAll(async () => {
      if (!isMissing) await answer.server.stop();
    });

    test("many are made at once, each empty and with a name of its own", async () => {
      const databases = await Promise.all(Array.from({ length: 10 }, () => createDatabase(serverUrl)));
      expect(new Set(databases.map(({ url }) => url)).size).toBe(10);
      for (const { url } of databases) expect(await ask(dialect, url, about)).toEqual([fresh]);
      await Promise.all(databases.map(({ drop }) => drop()));
    });

    test("it takes all of Unicode", async () => {
      const { url, drop } = await createDatabase(serverUrl);
      await ask(dialect, url, "create table written as select '🌊' as wave");
      expect(await ask(dialect, url, "select wave from written")).toEqual([{ wave: "🌊" }]);
      await drop();
    });

    test("it is dropped while somebody's statement holds characters of four bytes", async () => {
      const { drop } = await createDatabase(serverUrl);
      const connection = await dialect.connect(serverUrl);
      const asked = connection.ask(slow);
      await expect(drop()).resolves.toBeUndefined();
      await asked;
      await connection.end();
    });

    test("it is dropped under an open connection that has locks, and a second time", async () => {
      const database = await createDatabase(serverUrl);
      await ask(dialect, database.url, "create table locked (number int)");
      const connection = await dialect.connect(database.url);
      await connection.ask("begin");
      await connection.ask("select number from locked");
      await database.drop();
      await connection.ended;
      await database.drop();
      await expect(ask(dialect, database.url, "select 1")).rejects.toThrow(unknown);
    });
  });
}

test("a URL of another kind of server is an error", async () => {
  await expect(createDatabase("sqlite:///tmp/file")).rejects.toThrow(
    "Nobody knows how to make a database behind sqlite:",
  );
});
