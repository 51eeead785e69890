import semver from "semver";
import type { MonthRow, PaceRow, ReadModel, VersionRow } from "./read-model.ts";
import type { Release } from "./releases.ts";
import type { TrainRow } from "./train-table.ts";

const DAY = 24 * 60 * 60 * 1000;

/**
 * What the tables have to hold, computed from the releases in one go: no events, no SQL, and no code of the projector.
 * `releases` are in the order of their publication.
 */
export function expectedTables(releases: readonly Release[]): ReadModel {
  const histories = [...groupBy(releases, (release) => release.package)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    months: histories.flatMap(([name, history]) => monthRows(name, history)),
    versions: histories.map(([name, history]) => versionRow(name, history)),
    paces: histories.map(([name, history]) => paceRow(name, history)),
  };
}

/** The saga's table, likewise: of each stable release that prereleases led up to. */
export function expectedTrains(releases: readonly Release[]): readonly TrainRow[] {
  const trains = groupBy(releases, (release) => `${release.package} ${stableOf(release.version)}`);
  return [...trains.values()].flatMap((train) => {
    const arrival = train.findIndex((release) => isStable(release.version));
    const [first, stable] = [train[0], train[arrival]];
    if (first === undefined || stable === undefined || arrival === 0) return [];
    const [from, to] = [first, stable].map((release) => Math.floor(release.publishedOn.getTime() / DAY));
    return [
      {
        package: stable.package,
        train: stableOf(stable.version),
        first_day: isoDay(from),
        stable_day: isoDay(to),
        days: (to ?? 0) - (from ?? 0),
        prereleases: arrival,
      },
    ];
  });
}

/** The announcements, without their positions: of each X.0.0, unless X is a date. */
export function expectedAnnouncements(releases: readonly Release[]): readonly string[] {
  return releases
    .filter(({ version }) => isStable(version) && /^\d+\.0\.0$/.test(version))
    .filter(({ version }) => semver.major(version) > 0 && semver.major(version) < 10_000)
    .map((release) => `${release.publishedOn.toISOString().slice(0, 10)} ${release.package} ${release.version}`);
}

/** Whether a version counts as stable: it is a semantic version, if only a loose one, and not a prerelease. */
export function isStable(version: string): boolean {
  return semver.valid(version, { loose: true }) !== null && semver.prerelease(version, { loose: true }) === null;
}

/** 5.0.0 for 5.0.0-beta.1. */
function stableOf(version: string): string {
  const parsed = semver.parse(version, { loose: true });
  return parsed === null ? version : `${parsed.major}.${parsed.minor}.${parsed.patch}`;
}

function monthRows(name: string, history: readonly Release[]): readonly MonthRow[] {
  const months = groupBy(history, (release) => release.publishedOn.toISOString().slice(0, 7));
  return [...months].map(([month, ofMonth]) => {
    const stable = ofMonth.filter((release) => isStable(release.version)).length;
    return { package: name, month, stable, prereleases: ofMonth.length - stable };
  });
}

function versionRow(name: string, history: readonly Release[]): VersionRow {
  const stable = history.map((release) => release.version).filter(isStable);
  return {
    package: name,
    releases: history.length,
    current: semver.rsort(stable, { loose: true })[0] ?? null,
    latest: history.at(-1)?.version ?? "",
  };
}

function paceRow(name: string, history: readonly Release[]): PaceRow {
  const days = history.map((release) => Math.floor(release.publishedOn.getTime() / DAY));
  const gaps = days.slice(1).map((day, index) => day - (days[index] ?? day));
  const longest = Math.max(0, ...gaps);
  const ending = longest === 0 ? undefined : history[gaps.indexOf(longest) + 1];
  return {
    package: name,
    releases: history.length,
    first_day: isoDay(days[0]),
    last_day: isoDay(days.at(-1)),
    days_between: gaps.reduce((sum, gap) => sum + gap, 0),
    longest_gap: longest,
    longest_gap_before: ending?.version ?? null,
  };
}

function isoDay(day: number | undefined): string {
  return day === undefined ? "" : new Date(day * DAY).toISOString().slice(0, 10);
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
