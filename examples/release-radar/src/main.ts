// The demo: real events go into a SQLite file; a projector, a saga and an observer are killed on their way through them;
// one event cannot be handled until the handler is mended; and in the end everything is right.
import { createSqliteStore, type SqliteStore } from "@tidemark/adapter-sqlite";
import { announce, followTrains, parkAndMend } from "./chapters.ts";
import { showYears } from "./chart.ts";
import { compareTables } from "./compare.ts";
import { runProgram } from "./complaint.ts";
import { unhurried } from "./consumer-process.ts";
import { consumeThroughCrashes } from "./crashes.ts";
import { freshFile, reading } from "./database-file.ts";
import { expectedTables, expectedTrains } from "./expected.ts";
import { importReleases } from "./import-releases.ts";
import { type DemoOptions, parseDemoOptions, USAGE } from "./options.ts";
import { perSecond, showProgress } from "./progress.ts";
import { defineRadar } from "./radar.ts";
import { countReleases, readTables } from "./read-model.ts";
import { readReleases, type Release } from "./releases.ts";
import { showChapter, showCrash, showNextSteps, showTitle } from "./story.ts";
import { showPackages } from "./table.ts";
import { count, createTerminal, plural, type Terminal } from "./terminal.ts";
import { readTrains } from "./train-table.ts";
import { readArrivals, toArrival } from "./trains.ts";
import { showComparison } from "./verdict.ts";

/** Of the read model. */
const VERSION = 1;

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
  const demo = { ...options, file };
  await project(terminal, store, demo);
  await followTrains(terminal, store, demo);
  const verdicts = [
    await announce(terminal, store, releases, demo),
    await parkAndMend(terminal, store, releases, file),
    await conclude(terminal, store, releases, file),
  ];
  showNextSteps(terminal, file, options.limit);
  return verdicts.every(Boolean) ? 0 : 1;
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
  const settings = unhurried({ file, consumer: "radar" }, await store.head());
  await consumeThroughCrashes({ store, consumer: defineRadar(VERSION).key, kills, settings }, (event) => {
    const releases = reading(file, (db) => countReleases(db, VERSION));
    showCrash(terminal, event, `its tables count ${plural(releases, "release")}`);
  });
}

/** Returns whether the tables are right. */
async function conclude(
  terminal: Terminal,
  store: SqliteStore,
  releases: readonly Release[],
  file: string,
): Promise<boolean> {
  showChapter(terminal, "All tables against the input, row by row");
  const found = reading(file, (db) => ({ ...readTables(db, VERSION), trains: readTrains(db) }));
  const arrivals = await readArrivals(store);
  const trains = expectedTrains(releases);
  const expected = { ...expectedTables(releases), trains, arrivals: trains.map(toArrival) };
  const isRight = showComparison(terminal, compareTables(expected, { ...found, arrivals }));
  showChapter(terminal, "What the tables say");
  showPackages(terminal, found);
  terminal.line();
  showYears(terminal, found);
  return isRight;
}
