// The demo: real events go into a SQLite file, a projector is killed on its way through them, and its tables are right.
import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import Database from "better-sqlite3";
import { showYears } from "./chart.ts";
import { compareTables } from "./compare.ts";
import { runProgram } from "./complaint.ts";
import { consumeThroughCrashes } from "./crashes.ts";
import { freshFile } from "./database-file.ts";
import { expectedTables } from "./expected.ts";
import { importReleases } from "./import-releases.ts";
import { type DemoOptions, parseDemoOptions, USAGE } from "./options.ts";
import { perSecond, showProgress } from "./progress.ts";
import { defineRadar } from "./radar.ts";
import { countReleases, readTables } from "./read-model.ts";
import { readReleases, type Release } from "./releases.ts";
import { showChapter, showCrash, showNextSteps, showTitle } from "./story.ts";
import { showPackages } from "./table.ts";
import { count, createTerminal, plural, type Terminal } from "./terminal.ts";
import { showComparison } from "./verdict.ts";

/** Of the read model. */
const VERSION = 1;
/** The log is consumed in about so many transactions, whatever its size, so that there is time to be killed. */
const BATCHES = 200;
const PAUSE_MS = 8;
/** Short, so that nobody waits long for the zone of a process that is dead. */
const LEASE_MS = 400;

// Whoever was reading has gone, as `head` does: nobody is left to tell a story to.
process.stdout.on("error", () => process.exit(1));

await runProgram(async () => {
  const options = parseDemoOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  const terminal = createTerminal();
  const releases = readReleases(options.limit);
  const file = freshFile(options.file);
  showTitle(terminal, releases);
  await using store = await createSqliteStore({ file });
  await fillLog(terminal, store, releases);
  await project(terminal, store, { ...options, file });
  const isRight = conclude(terminal, releases, file);
  showNextSteps(terminal, file, options.limit);
  return isRight ? 0 : 1;
});

async function fillLog(terminal: Terminal, store: SqliteStore, releases: readonly Release[]): Promise<void> {
  showChapter(terminal, "Releases become events");
  const first = await importReleases(store, releases, showProgress(terminal, releases.length));
  const speed = perSecond(first.appended, first.milliseconds);
  terminal.line(`   ${plural(first.appended, "event")} appended and flushed to disk, ${count(speed)} per second.`);

  const headBefore = await store.head();
  const second = await importReleases(store, releases);
  if (second.appended > 0 || (await store.head()) !== headBefore)
    throw new Error("A second import has written something.");
  terminal.line(`   Imported again: nothing written, all ${count(second.repeated)} were known by their ids.`);
}

/** Everything is consumed in other processes; this one only watches the file. */
async function project(terminal: Terminal, store: SqliteStore, { file, kills }: DemoOptions): Promise<void> {
  showChapter(terminal, "A projector is killed on its way through them");
  const head = await store.head();
  const db = new Database(file, { readonly: true });
  try {
    const settings = { file, leaseMs: LEASE_MS, pauseMs: PAUSE_MS, fetchSize: Math.ceil(Number(head) / BATCHES) };
    await consumeThroughCrashes({ store, consumer: defineRadar(VERSION).key, kills, settings }, (event) =>
      showCrash(terminal, event, { head, applied: countReleases(db, VERSION) }),
    );
  } finally {
    db.close();
  }
}

/** Returns whether the tables are right. */
function conclude(terminal: Terminal, releases: readonly Release[], file: string): boolean {
  const db = new Database(file, { readonly: true });
  try {
    const found = readTables(db, VERSION);
    showChapter(terminal, "Its tables against the input, row by row");
    const isRight = showComparison(terminal, compareTables(expectedTables(releases), found));
    showChapter(terminal, "What the tables say");
    showPackages(terminal, found);
    terminal.line();
    showYears(terminal, found);
    return isRight;
  } finally {
    db.close();
  }
}
