import { defineProjector, type FailurePolicy, type Projector } from "@tidemark/core";
import type { Database } from "better-sqlite3";
import semver from "semver";
import type { RadarEvents } from "./events.ts";
import { type TableNames, tablesOf } from "./read-model.ts";
import type { Precision } from "./releases.ts";

export interface RadarOptions {
  /** The precisions that it understands. Default: all there are. */
  readonly understands?: readonly Precision[] | undefined;
  readonly failure?: FailurePolicy | undefined;
}

/**
 * The projector that keeps the radar's tables. It only ever adds to what is there, and knows nothing of crashes: an
 * event that was applied twice or not at all would stay visible in every count and sum. That this does not happen is
 * what `context.tx` is for: what is written through it commits together with the checkpoint, or not at all.
 */
export function defineRadar(version: number, options: RadarOptions = {}): Projector<Database> {
  const { understands = ["day", "second"], failure } = options;
  const sql = statements(tablesOf(version));
  return defineProjector<Database, RadarEvents>({
    name: "release-radar",
    version,
    failure,
    handlers: {
      "release-published": (event, { tx }) => {
        const { version, prerelease, precision } = event.data;
        if (!understands.includes(precision))
          throw new Error(`What is the day of a release with precision "${precision}"?`);
        const name = event.aggregate.id;
        const day = event.occurredOn.toISOString().slice(0, 10);
        const stable = prerelease === null ? 1 : 0;

        tx.prepare(sql.countInMonth).run({ name, month: day.slice(0, 7), stable, prerelease: 1 - stable });

        const known = tx.prepare<[string], { current: string | null }>(sql.currentVersion).get(name)?.current ?? null;
        const current = prerelease === null && isHigher(version, known) ? version : known;
        tx.prepare(sql.noteVersion).run({ name, current, latest: version });

        tx.prepare(sql.notePace).run({ name, day, version });
      },
    },
  });
}

/** By semver precedence. Loose, because old versions are. */
function isHigher(version: string, than: string | null): boolean {
  return than === null || semver.compareBuild(version, than, { loose: true }) > 0;
}

/** A column without a table's name before it is the row as it was, `excluded` the row as it would have been inserted. */
function statements({ months, versions, paces }: TableNames) {
  return {
    countInMonth: `
      insert into ${months} (package, month, stable, prereleases)
      values (@name, @month, @stable, @prerelease)
      on conflict do update set
        stable = stable + excluded.stable,
        prereleases = prereleases + excluded.prereleases`,
    currentVersion: `
      select current from ${versions} where package = ?`,
    noteVersion: `
      insert into ${versions} (package, releases, current, latest)
      values (@name, 1, @current, @latest)
      on conflict do update set
        releases = releases + 1,
        current = excluded.current,
        latest = excluded.latest`,
    notePace: `
      insert into ${paces} (package, releases, first_day, last_day, days_between, longest_gap, longest_gap_before)
      values (@name, 1, @day, @day, 0, 0, null)
      on conflict do update set
        releases = releases + 1,
        last_day = @day,
        days_between = days_between + cast(julianday(@day) - julianday(last_day) as integer),
        longest_gap = max(longest_gap, cast(julianday(@day) - julianday(last_day) as integer)),
        longest_gap_before =
          iif(julianday(@day) - julianday(last_day) > longest_gap, @version, longest_gap_before)`,
  } as const;
}
