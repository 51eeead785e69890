import { explain, findServer } from "@tidemark/test-servers";
import { describe, expect, test, vi } from "vitest";
import { traces } from "./traces.ts";

vi.setConfig({ testTimeout: 90_000 });

/** Nobody listens there. */
const NOWHERE = "postgres://user:secret@127.0.0.1:1/postgres";

describe("the chain", () => {
  test("a URL in the environment comes first, and its server is not ours to stop", async () => {
    const own = await start("npm");
    const answer = await findServer("postgres", { env: { TIDEMARK_POSTGRES_URL: own.url } });
    if (answer.kind === "missing") throw new Error(explain(answer));
    expect(answer.server).toMatchObject({ name: "postgres", url: own.url, version: own.version, source: "url" });
    expect(answer.server.restart).toBeUndefined();
    await answer.server.stop();
    const again = await findServer("postgres", { env: { TIDEMARK_POSTGRES_URL: own.url } });
    expect(again.kind).toBe("found");
    await own.stop();
  });

  test("a URL at which nobody answers ends it: no other server takes its place", async () => {
    const answer = await findServer("postgres", { env: { TIDEMARK_POSTGRES_URL: NOWHERE } });
    expect(answer).toMatchObject({ kind: "missing", name: "postgres", tried: [{ way: "url" }] });
    if (answer.kind === "found") throw new Error("found");
    expect(answer.tried[0]?.why).toMatch(/^TIDEMARK_POSTGRES_URL is set, but: .*ECONNREFUSED/);
    expect(explain(answer)).not.toContain("secret");
  });

  test("where the image is neither here nor to be had, the next way is taken", async () => {
    const env = { TIDEMARK_POSTGRES_IMAGE: "localhost:1/tidemark/none:0" };
    const answer = await findServer("postgres", { env, ways: ["url", "container", "npm"] });
    if (answer.kind === "missing") throw new Error(explain(answer));
    expect(answer.server.source).toBe("npm");
    await answer.server.stop();

    const missing = await findServer("postgres", { env, ways: ["url", "container"] });
    if (missing.kind === "found") throw new Error("found");
    expect(missing.tried.map(({ way }) => way)).toEqual(["url", "container"]);
    expect(missing.tried[0]?.why).toBe("TIDEMARK_POSTGRES_URL is not set");
    expect(missing.tried[1]?.why).toMatch(/no Docker engine answers|the image .* is not here and cannot be pulled: ./);
    expect(missing.advice).toContain("TIDEMARK_POSTGRES_URL");
  });

  test("it goes from the container to this machine's binaries to those of npm", async () => {
    const sources = [];
    for (const ways of [["container", "binaries", "npm"] as const, ["binaries", "npm"] as const, ["npm"] as const]) {
      const server = await start(...ways);
      sources.push(server.source);
      await server.stop();
    }
    const order = ["container", "binaries", "npm"];
    expect(sources).toEqual(sources.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)));
    expect(sources.at(-1)).toBe("npm");
  });

  test("an abort ends it and leaves nothing behind", async () => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const search = findServer("postgres-oldest", { ways: ["npm"], signal: controller.signal });
    controller.abort(reason);
    await expect(search).rejects.toBe(reason);
    expect(await traces(NOWHERE)).toEqual([]);
  });
});

describe("names", () => {
  test("a name that nobody knows is an error that lists the known ones", async () => {
    await expect(findServer("postgress")).rejects.toThrow(
      'names the server "postgress", which nobody knows. There are ' +
        "postgres, postgres-oldest, postgres-newest, mysql, mysql-oldest, mariadb, mariadb-oldest.",
    );
  });
});

describe("TIDEMARK_REQUIRE", () => {
  test("turns a missing server into a failure that says what was tried and how to get one", async () => {
    const env = { TIDEMARK_REQUIRE: "postgres-newest, postgres-oldest", TIDEMARK_POSTGRES_OLDEST_URL: NOWHERE };
    await expect(findServer("postgres-oldest", { env })).rejects.toThrow(
      /TIDEMARK_REQUIRE lists postgres-oldest, and it is missing.*\n.*\n {2}url: .*ECONNREFUSED.*\n {2}To get it: .*URL/,
    );
  });

  test("leaves a server alone that it does not list", async () => {
    const env = { TIDEMARK_REQUIRE: "postgres", TIDEMARK_POSTGRES_OLDEST_URL: NOWHERE };
    expect((await findServer("postgres-oldest", { env })).kind).toBe("missing");
  });

  test("with a name that nobody knows is an error", async () => {
    const env = { TIDEMARK_REQUIRE: "postgers", TIDEMARK_POSTGRES_URL: NOWHERE };
    await expect(findServer("postgres", { env })).rejects.toThrow('TIDEMARK_REQUIRE names the server "postgers"');
  });
});

async function start(...ways: ("container" | "binaries" | "npm")[]) {
  const answer = await findServer("postgres", { ways });
  if (answer.kind === "missing") throw new Error(explain(answer));
  return answer.server;
}
