import { findServer } from "@tidemark/test-servers";
import { describe, expect, test, vi } from "vitest";
import { mysql } from "./mysql.ts";
import { whyNoContainer } from "./traces.ts";
import { ask, describeWays, ownersOf, start, whyNoBinaries } from "./ways.ts";

vi.setConfig({ testTimeout: 90_000 });

const noMysql = await whyNoBinaries("mysql");
const noMariadb = await whyNoBinaries("mariadb");

describeWays(mysql, [
  { name: "mysql", way: "container", version: /^9\./, closed: await whyNoContainer("mysql:9") },
  { name: "mysql", way: "binaries", version: /^([89]|\d\d)\./, closed: noMysql },
  { name: "mysql-oldest", way: "container", version: /^8\.0\./, closed: await whyNoContainer("mysql:8.0") },
  { name: "mariadb", way: "container", version: /^11\./, closed: await whyNoContainer("mariadb:11") },
  { name: "mariadb", way: "binaries", version: /^\d\d\./, closed: noMariadb },
  { name: "mariadb-oldest", way: "container", version: /^10\.6\./, closed: await whyNoContainer("mariadb:10.6") },
  { name: "mariadb-oldest", way: "binaries", version: /^10\./, closed: await whyNoBinaries("mariadb-oldest") },
]);

describe.skipIf(noMariadb !== undefined)(noMariadb ?? "a MariaDB on this machine", () => {
  test("does not run as root", async () => {
    const server = await start("mariadb", "binaries");
    const owners = ownersOf("mariadbd");
    await server.stop();
    expect(new Set(owners).size).toBe(1);
    expect(owners).not.toContain("root");
  });

  test("takes nobody without the password", async () => {
    const server = await start("mariadb", "binaries");
    const url = new URL(server.url);
    url.password = "";
    await expect(ask(mysql, url.href, "select 1")).rejects.toThrow("Access denied");
    await server.stop();
  });

  test("is not taken for a MySQL", async () => {
    const server = await start("mariadb", "binaries");
    const answer = await findServer("mysql", { env: { TIDEMARK_MYSQL_URL: server.url } });
    await server.stop();
    if (answer.kind === "found") throw new Error("found");
    expect(answer.tried[0]?.why).toMatch(/^TIDEMARK_MYSQL_URL is set, but: it is MariaDB .*, not MySQL$/);
  });
});
