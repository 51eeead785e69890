import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { AnnouncingKill } from "./announcing.ts";
import type { CrashReport } from "./crashes.ts";
import { DEFAULT_FILE, fromHere } from "./database-file.ts";
import type { Parked } from "./mending.ts";
import type { Release } from "./releases.ts";
import { count, plural, type Terminal } from "./terminal.ts";

const EXAMPLE = fileURLToPath(new URL("..", import.meta.url));
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

let chapters = 0;

export function showTitle(terminal: Terminal, releases: readonly Release[]): void {
  const packages = new Set(releases.map((release) => release.package)).size;
  const [first, last] = [releases[0], releases.at(-1)].map((release) =>
    release?.publishedOn.toISOString().slice(0, 10),
  );
  terminal.line(terminal.paint("bold", "Release radar"));
  terminal.line(`${plural(releases.length, "release")} of ${plural(packages, "npm package")}, ${first} to ${last}`);
}

export function showChapter(terminal: Terminal, title: string): void {
  terminal.line();
  terminal.line(terminal.paint("bold", `${++chapters}  ${title}`));
}

/** `applied`: what its tables say at this moment. */
export function showCrash(terminal: Terminal, event: CrashReport, applied: string): void {
  switch (event.kind) {
    case "killed": {
      const checkpoint = `checkpoint ${count(event.position).padStart(6)} of ${count(event.head)}`;
      return terminal.line(`   ${terminal.paint("red", "kill -9")}  ${event.name}  ${checkpoint}, ${applied}`);
    }
    case "busy":
      return terminal.line(
        `   ${event.holder} is at work. ${event.waiting} runs the same consumer: the zone is busy, it waits.`,
      );
    case "taken-over":
      return terminal.line(`   ${event.name} took over ${count(Math.round(event.milliseconds))} ms after the kill.`);
    case "finished": {
      const checkpoint = `checkpoint ${count(event.position).padStart(6)} of ${count(event.head)}`;
      return terminal.line(`   ${terminal.paint("green", "done")}     ${event.name}  ${checkpoint}, ${applied}`);
    }
  }
}

export function showAnnouncingKill(terminal: Terminal, { name, line }: AnnouncingKill): void {
  terminal.line(`   ${terminal.paint("red", "kill -9")}  ${name}  after it wrote: ${line}`);
}

/** Lines that are in a file twice are shown. */
export function showAnnouncements(terminal: Terminal, file: string, lines: readonly string[]): void {
  const repeated = lines.filter((line, index) => lines.indexOf(line) < index);
  const all = `${fromHere(file)}  ${plural(lines.length, "line")}`;
  if (repeated.length === 0) return terminal.line(`   ${all}, each once`);
  terminal.line(`   ${all}, written more than once:`);
  for (const line of new Set(repeated))
    terminal.line(`     ${lines.filter((other) => other === line).length} × ${line}`);
}

/** What stands in the way, and how much behind it. */
export function showParked(terminal: Terminal, { failed, waiting }: Parked): void {
  for (const { event, cause, attempts } of failed) {
    terminal.line(
      `   ${terminal.paint("red", "parked")}   ${event.id}, position ${count(event.position)}, after ${plural(attempts, "attempt")}`,
    );
    terminal.line(`            ${cause?.name}: ${cause?.message}`);
  }
  terminal.line(`   waiting  ${plural(waiting, "later release")} of the same package, in order`);
}

/** Every command works as it is printed, from the directory in which the demo was started. */
export function showNextSteps(terminal: Terminal, file: string, limit: number): void {
  const ofFile = file === DEFAULT_FILE ? "" : ` --file "${fromHere(file)}"`;
  const ofLimit = Number.isFinite(limit) ? ` --limit ${limit}` : "";
  const verify = `node ${program("verify")}${ofFile}${ofLimit}`;
  const driver = inScript(resolve(EXAMPLE, "node_modules/better-sqlite3"));
  const damage = "update radar_v1_pace set longest_gap = 0 where releases = (select min(releases) from radar_v1_pace)";
  const steps = [
    [
      "Build the tables once more beside the others, from the same events:",
      `node ${program("consume")} --version 3${ofFile}`,
      `${verify} --version 3`,
    ],
    [
      "Damage a row, and see the comparison find it:",
      `node -e "require('${driver}')('${inScript(file)}').exec('${damage}')"`,
      verify,
    ],
    [
      "See every promise proven that was made here:",
      `npm test${fromHere(ROOT) === "." ? "" : ` --prefix "${fromHere(ROOT)}"`}`,
    ],
  ] as const;
  terminal.line();
  terminal.line(`${terminal.paint("bold", "The file")}  ${fromHere(file)}`);
  terminal.line();
  terminal.line(terminal.paint("bold", "Three things to try next"));
  for (const [what, ...commands] of steps) {
    terminal.line(`   ${what}`);
    for (const command of commands) terminal.line(`     ${terminal.paint("cyan", command)}`);
  }
}

function program(name: string): string {
  return `"${fromHere(resolve(EXAMPLE, "dist", `${name}.js`))}"`;
}

/** `require` takes a path for a package unless it begins like one. */
function inScript(path: string): string {
  const short = fromHere(path);
  return isAbsolute(short) || short.startsWith(".") ? short : `./${short}`;
}
