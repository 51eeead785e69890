import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAnnouncements } from "../src/announcements.ts";

/** As far as electron is known to the second, and some trains have arrived. */
const LIMIT = ["--limit", "1500"];
const TIMEOUT = 240_000;

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
    expect(demo.output.match(/kill -9 {2}radar/g)).toHaveLength(2);
    expect(demo.output).toContain("the zone is busy, it waits");
    expect(demo.output).toContain("took over");
    expect(demo.output).toContain("1,500 of 1,500, its tables count 1,500 releases");
    expect(demo.output).toContain("are what the input files say");
  });

  it("kills the saga, and ends with its table and events as the input says", () => {
    expect(demo.output.match(/kill -9 {2}trains/g)).toHaveLength(2);
    expect(demo.output).toMatch(/prerelease trains +5 rows {2}same/);
    expect(demo.output).toMatch(/events of their arrival +5 rows {2}same/);
  });

  it("writes announcements twice only where nobody looks at the last line", () => {
    expect(demo.output.match(/kill -9 {2}announcements/g)).toHaveLength(2);
    expect(demo.output).toContain("the 13 new majors of the input, in order");
    const lines = [`${file}-announcements.txt`, `${file}-announcements-carefree.txt`].map(readAnnouncements);
    expect(lines[0]).toHaveLength(13);
    expect(lines[1]?.length).toBeGreaterThanOrEqual(15);
    expect(new Set(lines[1])).toEqual(new Set(lines[0]));
  });

  it("parks what the narrow radar cannot handle, and replays it when it is mended", () => {
    expect(demo.output).toMatch(/parked +electron@1\.3\.1, position/);
    expect(demo.output).toMatch(/waiting +\d+ later releases of the same package/);
    expect(demo.output).toMatch(/mended +the first was asked for again, \d+ events handled, in order/);
    expect(demo.output.match(/are what the input files say/g)).toHaveLength(2);
  });

  it("writes no control characters into a pipe", () => {
    expect(demo.output.split("").filter((character) => character < " " && character !== "\n")).toEqual([]);
  });

  it("builds another version of the tables beside the others, as far as the first has got", async () => {
    const consumed = await run("consume", "--file", file, "--version", "3");
    expect(consumed).toMatchObject({ code: 0, output: "Handled 1500 events, up to position 1500.\n" });
    expect(await run("verify", "--file", file, "--version", "3", ...LIMIT)).toMatchObject({ code: 0 });
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
    const args = ["--file", file, "--version", "4", "--fetch-size", "1", "--pause-ms", "1000"];
    const child = fork(built("consume"), args, { stdio: "ignore" });
    const exit = once(child, "exit");
    child.disconnect();
    expect(await exit).toEqual([1, null]);
  });
});
