import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWithGalera } from "@tidemark/test-servers/galera-vitest";
import { afterEach, beforeEach, expect, test } from "vitest";
import { root } from "../command.mjs";

/** Where the cluster is, so that it is not the one with which somebody works. */
let temporary: string;

beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), "tooling-galera-"));
});

afterEach(() => {
  galera("stop");
  rmSync(temporary, { recursive: true });
});

describeWithGalera(() => {
  test("a cluster is started, loses a node and is stopped", { timeout: 600_000 }, async () => {
    const started = galera("start");
    expect(started.output).toMatch(/^(\d {2}mysql:\/\/\S+ {2}synced, primary, sees 3\n){3}$/);
    expect(started.status).toBe(0);
    expect(galera("start")).toEqual({ status: 1, output: `${started.output}It runs already:\n` });
    expect(galera("kill", "2").output).toMatch(/^2 {2}\S+ {2}down$/m);
    expect(galera("status").output).toMatch(/^2 {2}\S+ {2}down$/m);
    expect(galera("kill", "4")).toMatchObject({ status: 1 });

    expect(galera("stop")).toEqual({ status: 0, output: "Stopped.\n" });
    expect(galera("status")).toEqual({ status: 1, output: "It does not run.\n" });
    expect(readdirSync(temporary)).toEqual([]);
    for (const [url] of started.output.matchAll(/mysql:\S+/g)) expect(await listens(new URL(url))).toBe(false);
  });
});

test("stopping what does not run is no failure", () => {
  expect(galera("stop")).toEqual({ status: 0, output: "It does not run.\n" });
  expect(existsSync(temporary)).toBe(true);
});

test("an unknown order is told what there is", () => {
  expect(galera("dance")).toMatchObject({ status: 2, output: expect.stringContaining("start | status") as string });
});

function galera(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["tooling/galera.mjs", ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: temporary },
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}

function listens({ hostname, port }: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.on("connect", () => {
      resolve(true);
      socket.destroy();
    });
    socket.on("error", () => resolve(false));
  });
}
