import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** How exactly the time of a release is known. With `"day"` the time of day means nothing. */
export type Precision = "day" | "second";

export interface Release {
  readonly package: string;
  readonly version: string;
  readonly publishedOn: Date;
  readonly precision: Precision;
}

const DATA = new URL("../data/", import.meta.url);

/** The releases of all packages in the order of their publication: the first `limit` of them, by default all. */
export function readReleases(limit: number = Number.POSITIVE_INFINITY): readonly Release[] {
  return readdirSync(DATA)
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .flatMap((name) => readHistory(new URL(name, DATA)))
    .toSorted((a, b) => a.publishedOn.getTime() - b.publishedOn.getTime())
    .slice(0, limit);
}

/** One file, whose order is kept: it tells which of two releases of a day came first. */
function readHistory(file: URL): readonly Release[] {
  const history: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!isHistory(history)) throw new Error(`${fileURLToPath(file)} is not a release history: see data/README.md.`);
  const { package: name, precision } = history;
  return history.releases.map(([version, time]) => ({
    package: name,
    version,
    publishedOn: new Date(time),
    precision,
  }));
}

interface History {
  readonly package: string;
  readonly precision: Precision;
  readonly releases: readonly (readonly [version: string, time: string])[];
}

function isHistory(value: unknown): value is History {
  if (typeof value !== "object" || value === null) return false;
  if (!("package" in value && "precision" in value && "releases" in value)) return false;
  const { package: name, precision, releases } = value;
  if (typeof name !== "string" || (precision !== "day" && precision !== "second")) return false;
  return Array.isArray(releases) && releases.every(isPair);
}

function isPair(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [version, time] = value as readonly unknown[];
  return typeof version === "string" && typeof time === "string" && !Number.isNaN(Date.parse(time));
}
