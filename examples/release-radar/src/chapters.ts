// The chapters after the projector's, in the order of the story.
import { isDeepStrictEqual } from "node:util";
import type { SqliteStore } from "@tidemark/adapter-sqlite";
import { readAnnouncements } from "./announcements.ts";
import { announceThroughCrashes } from "./announcing.ts";
import { compareTables } from "./compare.ts";
import { unhurried } from "./consumer-process.ts";
import { consumeThroughCrashes } from "./crashes.ts";
import { announcementFiles, reading } from "./database-file.ts";
import { expectedAnnouncements, expectedTables } from "./expected.ts";
import { consumeNarrowly, mend } from "./mending.ts";
import type { DemoOptions } from "./options.ts";
import { readTables } from "./read-model.ts";
import type { Release } from "./releases.ts";
import { showAnnouncements, showAnnouncingKill, showChapter, showCrash, showParked } from "./story.ts";
import { count, plural, type Terminal } from "./terminal.ts";
import { readTrains } from "./train-table.ts";
import { defineTrains } from "./trains.ts";
import { showComparison } from "./verdict.ts";

/** Of the tables that are built beside the others, by a radar that understands too little. */
const NARROW_VERSION = 2;
/** After the projector the reader knows what a kill does. */
const MORE_KILLS = 2;

export async function followTrains(
  terminal: Terminal,
  store: SqliteStore,
  { file, kills }: DemoOptions,
): Promise<void> {
  showChapter(terminal, "A saga follows each prerelease train to its stable release");
  const { key: consumer, saga } = defineTrains();
  const settings = unhurried({ file, consumer: "trains" }, await store.head());
  await consumeThroughCrashes({ store, consumer, kills: Math.min(kills, MORE_KILLS), settings }, (event) => {
    const trains = reading(file, readTrains) ?? [];
    showCrash(terminal, event, `its table has ${plural(trains.length, "train")}`);
  });
  const underWay: string[] = [];
  for await (const train of store.sagas.list(saga)) underWay.push(train.id);
  const longest = reading(file, readTrains)?.toSorted((a, b) => b.days - a.days)[0];
  if (longest !== undefined) {
    const { package: name, train, days, prereleases } = longest;
    terminal.line(`   The longest: ${name} ${train}, ${count(days)} days and ${plural(prereleases, "prerelease")}.`);
  }
  terminal.line(`   ${plural(underWay.length, "train")} had not arrived when the history ends.`);
}

/** Returns whether the file with one line for each event is right. */
export async function announce(
  terminal: Terminal,
  store: SqliteStore,
  releases: readonly Release[],
  demo: DemoOptions,
): Promise<boolean> {
  showChapter(terminal, "An observer announces new majors, at least once");
  const { file } = demo;
  const kills = Math.min(demo.kills, MORE_KILLS);
  const expected = expectedAnnouncements(releases);
  const holdAfter = Math.max(1, Math.floor(expected.length / (kills + 1)));
  const files = announcementFiles(file);
  const runs = [
    ["announcements", files.once],
    ["carefree", files.carefree],
  ] as const;
  await Promise.all(
    runs.map(async ([consumer, announcements]) => {
      const settings = { ...unhurried({ file, consumer }, await store.head()), pauseMs: 0, holdAfter };
      await announceThroughCrashes({ announcements, kills, settings }, (kill) => showAnnouncingKill(terminal, kill));
    }),
  );
  for (const [, announcements] of runs) showAnnouncements(terminal, announcements, readAnnouncements(announcements));

  const written = readAnnouncements(files.once).map((line) => line.slice(line.indexOf(" ") + 1));
  const isRight = isDeepStrictEqual(written, expected);
  const [style, verdict] = isRight
    ? (["green", "✓ The first file has"] as const)
    : (["red", "✗ The first file has not"] as const);
  terminal.line(
    `   ${terminal.paint(style, `${verdict} the ${plural(expected.length, "new major")} of the input, in order.`)}`,
  );
  return isRight;
}

/** Returns whether the tables are right in the end. */
export async function parkAndMend(
  terminal: Terminal,
  store: SqliteStore,
  releases: readonly Release[],
  file: string,
): Promise<boolean> {
  showChapter(terminal, "A radar that only knows days meets a time of day");
  const parked = await consumeNarrowly(store, NARROW_VERSION);
  const expected = expectedTables(releases);
  const before = reading(file, (db) => compareTables(expected, readTables(db, NARROW_VERSION)));
  if (parked.failed.length > 0) {
    showParked(terminal, parked);
    const wrong = before.differences.map((row) => (row.expected ?? row.found)?.package ?? "");
    terminal.line(
      `            all others went on: ${plural(wrong.length, "row")} not right yet, of ${[...new Set(wrong)].join(", ")}`,
    );
    const handled = await mend(store, NARROW_VERSION, parked);
    terminal.line(`   mended   the first was asked for again, ${plural(handled, "event")} handled, in order`);
  } else terminal.line("   There is none in so few releases.");
  return reading(file, (db) => showComparison(terminal, compareTables(expected, readTables(db, NARROW_VERSION))));
}
