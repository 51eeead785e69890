import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import { consume, type ConsumeResult } from "@tidemark/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defineAnnouncements, readAnnouncements } from "../src/announcements.ts";
import { expectedAnnouncements } from "../src/expected.ts";
import { importReleases } from "../src/import-releases.ts";
import { readReleases } from "../src/releases.ts";

const releases = readReleases(600);
const expected = expectedAnnouncements(releases);

let folder: string;
let file: string;
let store: SqliteStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "announcements-"));
  file = join(folder, "announcements.txt");
  store = await createSqliteStore({ file: ":memory:" });
  await importReleases(store, releases);
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** Fails when the line of the `nth` new major is written, as if the process had died there. */
function dyingAfter(nth: number, once: boolean): Promise<ConsumeResult> {
  let written = 0;
  const onWritten = async (): Promise<void> => {
    if (++written === nth) throw new Error("killed");
  };
  const observer = defineAnnouncements({ file, once, onWritten });
  return consume(store, { ...observer, failure: { ...observer.failure, attempts: 1 } });
}

describe("announcements", () => {
  it("are the new majors in the order of the log, however many packages there are", async () => {
    await consume(store, defineAnnouncements({ file, once: true }));
    const lines = readAnnouncements(file);
    expect(lines.map((line) => line.slice(line.indexOf(" ") + 1))).toEqual(expected);
    const positions = lines.map((line) => Number(line.split(" ")[0]));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
  });

  it("are written once each when the last line is looked at", async () => {
    for (let line = 1; line <= expected.length; line++) {
      expect(await dyingAfter(1, true)).toMatchObject({ kind: "stopped" });
      expect(readAnnouncements(file)).toHaveLength(line);
    }
    expect(await consume(store, defineAnnouncements({ file, once: true }))).toMatchObject({ kind: "caught-up" });
    expect(readAnnouncements(file)).toHaveLength(expected.length);
  });

  it("are written again when it is not", async () => {
    expect(await dyingAfter(3, false)).toMatchObject({ kind: "stopped" });
    await consume(store, defineAnnouncements({ file, once: false }));
    const lines = readAnnouncements(file);
    expect(lines).toHaveLength(expected.length + 1);
    expect(lines[3]).toBe(lines[2]);
  });

  it("are whole lines, also where a crash has cut one off", async () => {
    await dyingAfter(2, true);
    appendFileSync(file, "999 20");
    await consume(store, defineAnnouncements({ file, once: true }));
    expect(readAnnouncements(file).map((line) => line.slice(line.indexOf(" ") + 1))).toEqual(expected);
  });
});
