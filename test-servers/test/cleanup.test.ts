import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test, vi } from "vitest";
import { nothingIsLeft, traces, whyNoContainer } from "./traces.ts";
import { whyNoBinaries } from "./ways.ts";

vi.setConfig({ testTimeout: 180_000 });

const starter = join(import.meta.dirname, "fixtures", "starter.mjs");

const noMariadb = await whyNoBinaries("mariadb");

const ways: readonly { readonly name: string; readonly way: string; readonly closed?: string | undefined }[] = [
  { name: "postgres", way: "npm" },
  { name: "postgres", way: "container", closed: await whyNoContainer("postgres:17") },
  { name: "mysql", way: "container", closed: await whyNoContainer("mysql:9") },
  { name: "mariadb", way: "binaries", closed: noMariadb },
];

/** How private servers begin. MariaDB's program is a script, whose own programs have to end as well. */
const starting = [
  { name: "postgres-oldest", way: "npm", program: "initdb" },
  { name: "mariadb", way: "binaries", program: "--bootstrap", closed: noMariadb },
].map((each) => ({ closed: undefined, ...each }));

describe("a server that nobody stopped is gone", () => {
  for (const { name, way, closed } of ways) {
    const title = `${name}, ${way}`;
    describe.skipIf(closed !== undefined)(closed === undefined ? title : `${title}: ${closed}`, () => {
      test("after its process has ended by itself", async () => {
        const { url, child } = await startedElsewhere(name, way);
        if (child.exitCode === null) await once(child, "exit");
        expect(child.exitCode).toBe(0);
        await nothingIsLeft(url);
      });

      for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
        test(`after ${signal} has ended its process`, async () => {
          const { url, child } = await startedElsewhere(name, way, "stay");
          const before = await traces(url);
          expect(before).not.toEqual([]);
          child.kill(signal);
          await nothingIsLeft(url, before);
        });
      }
    });
  }

  for (const { name, way, closed, program } of starting) {
    test.skipIf(closed !== undefined)(`after SIGKILL has ended its process while ${program} runs`, async () => {
      const start = (): ChildProcess => spawn(process.execPath, [starter, name, way], { stdio: "ignore" });
      let child = start();
      const seen = async (): Promise<void> => {
        // Once more where it was through before anybody looked.
        if (child.exitCode !== null) child = start();
        expect((await traces(nowhere)).join()).toContain(program);
      };
      await vi.waitFor(seen, { timeout: 60_000, interval: 10 });
      child.kill("SIGKILL");
      await nothingIsLeft(nowhere);
    });
  }
});

const nowhere = "postgres://127.0.0.1:1/postgres";

async function startedElsewhere(
  name: string,
  way: string,
  then = "end",
): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [starter, name, way, then], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const url of createInterface({ input: child.stdout })) return { url, child };
  throw new Error("The starter printed no URL.");
}
