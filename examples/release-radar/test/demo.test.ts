import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const LIMIT = ["--limit", "600"];
const TIMEOUT = 60_000;

const folder = mkdtempSync(join(tmpdir(), "release-radar-"));
const file = join(folder, "radar.sqlite");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | string;
  readonly output: string;
  readonly errors: string;
}

function built(name: string): string {
  return fileURLToPath(new URL(`../dist/${name}.js`, import.meta.url));
}

function run(name: string, ...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [built(name), ...args], (error, output, errors) => {
      resolve({ code: error === null ? 0 : (error.code ?? "killed"), output, errors });
    });
  });
}

describe("the demo", () => {
  let demo: Outcome;
  beforeAll(async () => {
    demo = await run("main", "--file", file, "--kills", "2", ...LIMIT);
  }, TIMEOUT);

  it("kills consumers, shows the zone busy, and ends with the tables that the input says", () => {
    expect(demo).toMatchObject({ code: 0, errors: "" });
    expect(demo.output.match(/kill -9 {2}consumer/g)).toHaveLength(2);
    expect(demo.output).toContain("the zone is busy, it waits");
    expect(demo.output).toContain("took over");
    expect(demo.output).toContain("checkpoint 600 of 600, its tables count 600 releases");
    expect(demo.output).toContain("are what the input files say");
  });

  it("writes no control characters into a pipe", () => {
    expect(demo.output.split("").filter((character) => character < " " && character !== "\n")).toEqual([]);
  });

  it("builds a second version of the tables beside the first", async () => {
    const consumed = await run("consume", "--file", file, "--version", "2");
    expect(consumed).toMatchObject({ code: 0, output: "Handled 600 events, up to position 600.\n" });
    expect(await run("verify", "--file", file, "--version", "2", ...LIMIT)).toMatchObject({ code: 0 });
  });

  it("exits with 1 and shows the row when a row is not right", async () => {
    expect(await run("verify", "--file", file, ...LIMIT)).toMatchObject({ code: 0 });
    const db = new Database(file);
    db.exec("update radar_v1_version set releases = releases + 1 where package = 'express'");
    db.close();
    const { code, output } = await run("verify", "--file", file, ...LIMIT);
    expect(code).toBe(1);
    expect(output).toContain("1 difference");
    expect(output).toMatch(/found +\{"package":"express"/);
  });

  it("never overwrites a file that somebody else named", async () => {
    const { code, errors } = await run("main", "--file", file);
    expect({ code, errors }).toEqual({
      code: 1,
      errors: `\n${file} exists already. Delete it, or give --file another name.\n`,
    });
  });

  it("says in one line what is wrong with a place or an option", async () => {
    const blocked = join(folder, "blocked");
    writeFileSync(blocked, "");
    for (const args of [["--file", join(blocked, "radar.sqlite")], ["--kills", "many"], ["--nonsense"]]) {
      const { code, errors } = await run("main", ...args);
      expect(code).toBe(1);
      expect(errors.trim()).toMatch(/^[^\n]+$/);
    }
  });

  it("leaves no consumer behind when it is gone", async () => {
    const args = ["--file", file, "--version", "3", "--fetch-size", "1", "--pause-ms", "1000"];
    const child = fork(built("consume"), args, { stdio: "ignore" });
    const exit = once(child, "exit");
    child.disconnect();
    expect(await exit).toEqual([1, null]);
  });
});
