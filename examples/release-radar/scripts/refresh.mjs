// Collects the release history of every package below from what npm packages
// publish about themselves, and rewrites data/*.json and the generated part of
// data/README.md.
//
//   node scripts/refresh.mjs
//
// Needs the npm client and a registry, nothing to install. Nothing is written
// before every package has arrived, so a failed run leaves the old files as
// they were.

import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

// Headings of changelogs. Each finds a version and, where the changelog gives it, its date.
const LINK = /^#+ \[?v?(?<version>\d+\.\d+\.\d+[^\s\]]*)\]?(?:\([^)\n]*\))?(?: \(?(?<date>\d{4}-\d{2}-\d{2})\)?)?/gm;
const SLASH = /^v?(?<version>\d+\.\d+\.\d+\S*)(?: \([^)\n]*\))? *\/ *(?<date>[^\n]*)/gm;
const DASH = /^(?:#+ )?\[?v?(?<version>\d+\.\d+\.\d+[^\s\]]*)\]? +- +(?<date>[^\n]*)/gm;
const NEXT_LINE =
  /^## v?(?<version>\d+\.\d+\.\d+\S*)[ \t]*\n+(?:<!--[^\n]*-->\n+)?(?:(?:#+ )?[_*](?<date>[^_*\n]+)[_*])?/gm;

/**
 * The only list of packages: a data file exists for each of these and for no other.
 *
 * - `index`: a package that lists the releases of another with their times.
 * - `changes`: a CHANGELOG.json with a list of entries. Their times are those of the file's
 *   generation, shortly before publication, so only the day is taken.
 * - `changelog`: a changelog with a dated heading per version. Where `from` names a fixed version,
 *   later tarballs have no changelog; two tarballs are read where each has only a part.
 * - `dated`: versions that carry a day; only those are taken.
 */
const PACKAGES = [
  { name: "@cloudflare/workers-types", method: "dated", day: /^\d+\.(\d{8})\./ },
  { name: "@fluentui/react", method: "changes", from: ["@fluentui/react@latest"], file: "CHANGELOG.json" },
  {
    name: "@material-ui/core",
    method: "changelog",
    from: ["@material-ui/core@latest"],
    file: "CHANGELOG.md",
    heading: NEXT_LINE,
  },
  { name: "electron", method: "index", from: ["electron-releases@latest"], file: "lite.json" },
  { name: "eslint", method: "changelog", from: ["eslint@7.32.0"], file: "CHANGELOG.md", heading: DASH },
  { name: "express", method: "changelog", from: ["express@5.1.0"], file: "History.md", heading: SLASH },
  { name: "gatsby", method: "changelog", from: ["gatsby@latest"], file: "CHANGELOG.md", heading: LINK },
  { name: "google-closure-compiler", method: "dated", day: /^(\d{8})\./ },
  { name: "karma", method: "changelog", from: ["karma@latest"], file: "CHANGELOG.md", heading: LINK },
  { name: "knex", method: "changelog", from: ["knex@latest"], file: "CHANGELOG.md", heading: DASH },
  { name: "mongoose", method: "changelog", from: ["mongoose@5.13.23"], file: "History.md", heading: SLASH },
  { name: "nodemailer", method: "changelog", from: ["nodemailer@latest"], file: "CHANGELOG.md", heading: LINK },
  { name: "react", method: "dated", day: /-(\d{8})$/ },
  { name: "rollup", method: "changelog", from: ["rollup@2.79.1"], file: "CHANGELOG.md", heading: NEXT_LINE },
  { name: "typescript", method: "dated", day: /-(?:dev|insiders|rc)\.(\d{8})(?:[.-]|$)/ },
  { name: "vite", method: "changelog", from: ["vite@1.0.0-rc.13", "vite@2.7.13"], file: "CHANGELOG.md", heading: LINK },
];

const CONCURRENCY = 4;
/** Per call of the npm client. */
const TIMEOUT_MS = 180_000;
/** Per tarball, unpacked. */
const UNPACKED_LIMIT = 512 * 1024 * 1024;

const DATA = new URL("../data/", import.meta.url);
const README = new URL("README.md", DATA);
const BEGIN = "<!-- written by scripts/refresh.mjs: begin -->";
const END = "<!-- written by scripts/refresh.mjs: end -->";
const SEMVER = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?$/;
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const run = promisify(execFile);
const unzip = promisify(gunzip);
const today = new Date().toISOString().slice(0, 10);

async function refresh() {
  const readme = await readFile(README, "utf8");
  const scratch = await mkdtemp(join(tmpdir(), "release-radar-"));
  let histories;
  try {
    histories = await mapBounded(PACKAGES, CONCURRENCY, (entry) => collect(entry, scratch));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }

  const files = histories.map((history) => ({
    url: new URL(fileName(history.package), DATA),
    text: renderHistory(history),
  }));
  files.push({ url: README, text: replaceGenerated(readme, renderSummary(histories)) });
  await replaceAll(files);

  for (const { package: name, releases, leftOut } of histories) {
    const reasons = Object.entries(leftOut).map(([reason, versions]) => `${versions.length} ${reason}`);
    console.log(`${name}: ${releases.length}${reasons.length > 0 ? `, left out: ${reasons.join(", ")}` : ""}`);
  }
  console.log(`total: ${total(histories)}`);
  for (const name of await strayFiles()) {
    console.warn(`warning: data/${name} belongs to no listed package: delete it`);
  }
}

/** Runs `work` on every item, at most `limit` at a time; results keep the order of the items. */
async function mapBounded(items, limit, work) {
  const results = new Array(items.length);
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < items.length && !failed) {
      const index = next++;
      try {
        results[index] = await work(items[index]);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, lane));
  const failure = lanes.find(({ status }) => status === "rejected");
  if (failure !== undefined) throw failure.reason;
  return results;
}

async function collect(entry, scratch) {
  const { name, method } = entry;
  const listed = await listVersions(name, scratch);
  const sources = [];
  const found = [];
  if (method === "dated") {
    for (const version of listed) {
      const day = entry.day.exec(version)?.[1];
      if (day !== undefined) found.push([version, parseDay(day)]);
    }
  } else {
    for (const spec of entry.from) {
      const { source, text } = await unpack(spec, entry.file, scratch);
      sources.push(source);
      found.push(...readers[method](text, entry, source));
    }
  }

  const leftOut = {};
  const leave = (reason, version) => (leftOut[reason] ??= []).push(version);
  const times = new Map();
  const twice = new Set();
  for (const [version, time] of found) {
    if (!listed.has(version)) leave("not listed", version);
    else if (!SEMVER.test(version)) leave("no semantic version", version);
    else if (time === undefined) leave("without a date", version);
    else if (time.slice(0, 10) > today) leave("in the future", version);
    else if (times.has(version) && times.get(version) !== time) twice.add(version);
    else times.set(version, time);
  }
  for (const version of twice) {
    times.delete(version);
    leave("with two dates", version);
  }
  const releases = [...times].sort(byTimeThenVersion);
  if (releases.length === 0) throw new Error(`${name}: no releases found.`);
  checkMajors(name, releases);
  return {
    package: name,
    source: describe(method, sources),
    precision: method === "index" ? "second" : "day",
    releases,
    leftOut,
  };
}

/** Majors, N.0.0, come one after the other; where they do not, the source was misread. */
function checkMajors(name, releases) {
  const majors = releases.map(([version]) => /^(\d+)\.0\.0$/.exec(version)?.[1]).filter((major) => major !== undefined);
  for (let i = 1; i < majors.length; i++) {
    if (Number(majors[i]) < Number(majors[i - 1])) {
      throw new Error(`${name}: ${majors[i]}.0.0 is dated after ${majors[i - 1]}.0.0.`);
    }
  }
}

const readers = {
  index(text, { name }, source) {
    return parseArray(text, source)
      .filter((release) => release.npm_package_name === name)
      .map(({ version, published_at: time }) => [version, parseTime(time)]);
  },
  changes(text, _entry, source) {
    return parseArray(text, source, "entries").map(({ version, date }) => [version, parseDay(parseTime(date))]);
  },
  changelog(text, { heading }) {
    return Array.from(text.replaceAll("\r\n", "\n").matchAll(heading), ({ groups }) => [
      groups.version,
      parseDay(groups.date),
    ]);
  },
};

function describe(method, sources) {
  if (method === "dated") return "days carried by the versions";
  if (method === "index") return `index in ${sources.join(" and ")}`;
  return `changelog of ${sources.join(" and ")}`;
}

function parseArray(text, source, key) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${source}: the file is not JSON.`, { cause });
  }
  const array = key === undefined ? value : value?.[key];
  if (!Array.isArray(array)) throw new Error(`${source}: the file has no list of releases.`);
  return array;
}

function parseTime(text) {
  const time = new Date(text ?? Number.NaN);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

/** Reads `2021-08-24`, `20210824`, `August 24, 2021` and `24 August, 2021`; anything else is undefined. */
function parseDay(text = "") {
  const numbers = /^(\d{4})(-?)(\d{2})\2(\d{2})(?!\d)/.exec(text);
  const words = /^(?:([A-Za-z]+)\.? (\d{1,2})|(\d{1,2}) ([A-Za-z]+)),? (\d{4})/.exec(text);
  let parts;
  if (numbers !== null) parts = [numbers[1], numbers[3], numbers[4]].map(Number);
  else if (words !== null) {
    const month = MONTHS.indexOf((words[1] ?? words[4]).slice(0, 3).toLowerCase()) + 1;
    parts = [Number(words[5]), month, Number(words[2] ?? words[3])];
  } else return undefined;
  const [year, month, day] = parts;
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.toISOString() : undefined;
}

async function npm(args, cwd) {
  try {
    const { stdout } = await run("npm", [...args, "--json", "--loglevel=error"], {
      cwd,
      timeout: TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
      shell: process.platform === "win32",
    });
    return stdout;
  } catch (cause) {
    const reason = cause.killed ? `no answer within ${TIMEOUT_MS / 1000} s` : (npmError(cause) ?? cause.message);
    throw new Error(`npm ${args.slice(0, 2).join(" ")}: ${reason.replace(/\.$/, "")}.`, { cause });
  }
}

function npmError({ stdout, stderr, code }) {
  if (code === "ENOENT") return "the npm client is not installed";
  try {
    return JSON.parse(stdout).error.summary.split("\n")[0];
  } catch {
    return stderr?.trim().split("\n")[0] || undefined;
  }
}

async function listVersions(name, scratch) {
  const versions = JSON.parse(await npm(["view", name, "versions"], scratch));
  if (!Array.isArray(versions)) throw new Error(`npm view ${name}: the answer is no list of versions.`);
  return new Set(versions);
}

/** The text of one file of a published tarball, and the exact `name@version` it came from. */
async function unpack(spec, file, scratch) {
  const directory = await mkdtemp(join(scratch, "pack-"));
  await npm(["pack", spec], directory);
  const [tarball] = await readdir(directory);
  if (tarball === undefined) throw new Error(`npm pack ${spec}: no tarball arrived.`);
  let files;
  try {
    const tar = await unzip(await readFile(join(directory, tarball)), { maxOutputLength: UNPACKED_LIMIT });
    files = readTar(tar, ["package.json", file]);
  } catch (cause) {
    throw new Error(`${spec}: the tarball cannot be read (${cause.message}).`, { cause });
  }
  const text = files.get(file);
  if (text === undefined) throw new Error(`${spec}: the tarball has no ${file}.`);
  const { name, version } = JSON.parse(files.get("package.json") ?? "{}");
  return { source: `${name}@${version}`, text };
}

/** Picks files from a tar archive by their path below its one top directory. */
function readTar(tar, wanted) {
  const files = new Map();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const field = (from, to) => tar.toString("utf8", at + from, at + to).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 136), 8);
    if (!Number.isSafeInteger(size) || size < 0) throw new Error("damaged header");
    const path = field(0, 100).replace(/^[^/]*\//, "");
    if (["0", ""].includes(field(156, 157)) && field(345, 500) === "" && wanted.includes(path)) {
      files.set(path, tar.toString("utf8", at + 512, at + 512 + size));
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** Times are ISO 8601 in UTC with one width, so that text order is time order. */
function byTimeThenVersion([versionA, timeA], [versionB, timeB]) {
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  return byPrecedence(versionA, versionB) || Buffer.compare(Buffer.from(versionA), Buffer.from(versionB));
}

/** Precedence of semantic versions: a prerelease stands before its stable release. */
function byPrecedence(a, b) {
  const [, ...partsA] = SEMVER.exec(a);
  const [, ...partsB] = SEMVER.exec(b);
  for (let i = 0; i < 3; i++) {
    if (partsA[i] !== partsB[i]) return Number(partsA[i]) - Number(partsB[i]);
  }
  if (partsA[3] === undefined || partsB[3] === undefined) {
    return Number(partsA[3] === undefined) - Number(partsB[3] === undefined);
  }
  const idsA = partsA[3].split(".");
  const idsB = partsB[3].split(".");
  for (let i = 0; i < Math.min(idsA.length, idsB.length); i++) {
    const [idA, idB] = [idsA[i], idsB[i]];
    if (idA === idB) continue;
    const [numericA, numericB] = [/^\d+$/.test(idA), /^\d+$/.test(idB)];
    if (numericA && numericB) return Number(idA) - Number(idB);
    if (numericA !== numericB) return numericA ? -1 : 1;
    return idA < idB ? -1 : 1;
  }
  return idsA.length - idsB.length;
}

/** `@fluentui/react` becomes `fluentui__react.json`. */
function fileName(name) {
  return `${name.replace(/^@/, "").replace("/", "__")}.json`;
}

/** One release per line: a refresh then shows up as added lines. */
function renderHistory({ package: name, source, precision, releases }) {
  const head = [
    `"package": ${JSON.stringify(name)}`,
    `"source": ${JSON.stringify(source)}`,
    `"precision": ${JSON.stringify(precision)}`,
  ].join(", ");
  const lines = releases.map((release) => JSON.stringify(release));
  return `{ ${head}, "releases": [\n${lines.join(",\n")}\n] }\n`;
}

function renderSummary(histories) {
  const rows = histories.map(({ package: name, source, precision, releases, leftOut }) => {
    const { "not listed": notListed = [], ...others } = leftOut;
    const cells = [
      `\`${name}\``,
      source,
      precision,
      releases[0][1].slice(0, 10),
      releases.at(-1)[1].slice(0, 10),
      releases.length,
      notListed.length,
      Object.values(others).flat().length,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    `Taken on ${today}.`,
    "",
    "| package | source | precision | first | last | releases | not listed | no clear date |",
    "| --- | --- | --- | --- | --- | --: | --: | --: |",
    ...rows,
    `| **total** | | | | | **${total(histories)}** | | |`,
  ].join("\n");
}

function total(histories) {
  return histories.reduce((sum, { releases }) => sum + releases.length, 0);
}

function replaceGenerated(readme, summary) {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) {
    throw new Error(`data/README.md lacks the lines "${BEGIN}" and "${END}".`);
  }
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${summary}\n\n${readme.slice(end)}`;
}

/** Writes everything beside its target first; only when all of it is on disk are the targets replaced. */
async function replaceAll(files) {
  const pending = files.map(({ url, text }) => ({ url, text, temporary: new URL(`${url.href}.tmp`) }));
  try {
    for (const { temporary, text } of pending) await writeFile(temporary, text);
    for (const { temporary, url } of pending) await rename(temporary, url);
  } finally {
    for (const { temporary } of pending) await rm(temporary, { force: true });
  }
}

async function strayFiles() {
  const expected = new Set(PACKAGES.map(({ name }) => fileName(name)));
  const names = await readdir(fileURLToPath(DATA));
  return names.filter((name) => name.endsWith(".json") && !expected.has(name));
}

try {
  await refresh();
} catch (error) {
  console.error(`refresh: ${error.message} No file was changed.`);
  process.exitCode = 1;
}
