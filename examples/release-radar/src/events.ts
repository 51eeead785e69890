import type { AggregateInput, EventInput } from "@tidemark/core";
import semver from "semver";
import type { Precision, Release } from "./releases.ts";

/** A package has published a version. When it did is the event's `occurredOn`; which package, its aggregate. */
export interface ReleasePublished {
  readonly version: string;
  /** `"beta.1"` for 5.0.0-beta.1, null for a stable version. */
  readonly prerelease: string | null;
  /** The stable version that this release is, or leads up to: 5.0.0 for 5.0.0-beta.1. */
  readonly train: string;
  /** How exactly `occurredOn` is known. */
  readonly precision: Precision;
}

/** A stable release that prereleases led up to. The saga in trains.ts appends it. */
export interface TrainArrived {
  readonly package: string;
  readonly train: string;
  readonly prereleases: number;
  readonly days: number;
}

/** Every event of this application. A type alias or an interface: consumers get their handlers' types from it. */
export interface RadarEvents {
  readonly "release-published": ReleasePublished;
  readonly "train-arrived": TrainArrived;
}

/** What the log calls a package. */
export function packageAggregate(name: string): AggregateInput {
  return { type: "package", id: name };
}

/** An aggregate of its own: nothing but releases happens to a package, whoever follows them. */
export function trainAggregate(name: string, train: string): AggregateInput {
  return { type: "train", id: `${name}@${train}` };
}

/** The event of a release. Its id follows from the release, so that importing twice is recognised. */
export function toEvent(release: Release): EventInput<"release-published", ReleasePublished> {
  return {
    id: `${release.package}@${release.version}`,
    type: "release-published",
    data: { version: release.version, ...stagesOf(release.version), precision: release.precision },
    occurredOn: release.publishedOn,
  };
}

/** What is no semantic version, not even a loose one, is a prerelease of its own: it never becomes the current version. */
function stagesOf(version: string): Pick<ReleasePublished, "prerelease" | "train"> {
  const parsed = semver.parse(version, { loose: true });
  if (parsed === null) return { prerelease: version, train: version };
  const prerelease = parsed.prerelease.length === 0 ? null : parsed.prerelease.join(".");
  return { prerelease, train: `${parsed.major}.${parsed.minor}.${parsed.patch}` };
}
