import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test, vi } from "vitest";
import { traces, whyNoContainer } from "./traces.ts";

vi.setConfig({ testTimeout: 90_000 });

const starter = join(import.meta.dirname, "fixtures", "starter.mjs");

const noContainer = await whyNoContainer("postgres:17");

describe("a server that nobody stopped is gone", () => {
  for (const way of ["npm", "container"] as const) {
    const closed = way === "container" ? noContainer : undefined;
    describe.skipIf(closed !== undefined)(closed === undefined ? way : `${way}: ${closed}`, () => {
      test("after its process has ended by itself", async () => {
        const { url, child } = await startedElsewhere(way);
        if (child.exitCode === null) await once(child, "exit");
        expect(child.exitCode).toBe(0);
        await nothingIsLeft(url);
      });

      for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
        test(`after ${signal} has ended its process`, async () => {
          const { url, child } = await startedElsewhere(way, "stay");
          expect(await traces(url)).not.toEqual([]);
          child.kill(signal);
          await nothingIsLeft(url);
        });
      }
    });
  }

  test("after SIGKILL has ended its process while it starts", async () => {
    const child = spawn(process.execPath, [starter, "postgres-oldest", "npm"], { stdio: "ignore" });
    await vi.waitFor(async () => expect((await traces(nowhere)).join()).toContain("initdb"), { timeout: 20_000 });
    child.kill("SIGKILL");
    await nothingIsLeft(nowhere);
  });
});

const nowhere = "postgres://127.0.0.1:1/postgres";

async function startedElsewhere(way: string, then = "end"): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [starter, "postgres", way, then], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const url of createInterface({ input: child.stdout })) return { url, child };
  throw new Error("The starter printed no URL.");
}

async function nothingIsLeft(url: string): Promise<void> {
  await vi.waitFor(async () => expect(await traces(url)).toEqual([]), { timeout: 20_000, interval: 100 });
}
