import type { Store } from "@tidemark/core";
import { packageAggregate, toEvent } from "./events.ts";
import type { Release } from "./releases.ts";

export interface ImportResult {
  /** Releases that were written now. */
  readonly appended: number;
  /** Releases that the log had already. */
  readonly repeated: number;
  readonly milliseconds: number;
}

/** Appends that are under way at once. They share transactions, and still come into the log in the order of the calls. */
const CONCURRENT = 512;

/** Appends one event for each release, in the given order. Doing it again writes nothing: the ids tell. */
export async function importReleases(
  store: Pick<Store<never>, "append">,
  releases: readonly Release[],
  onProgress: (done: number) => void = () => undefined,
): Promise<ImportResult> {
  const startedAt = performance.now();
  let repeated = 0;
  for (let done = 0; done < releases.length; done += CONCURRENT) {
    const results = await Promise.all(
      releases
        .slice(done, done + CONCURRENT)
        .map((release) => store.append({ aggregate: packageAggregate(release.package), events: [toEvent(release)] })),
    );
    repeated += results.filter((result) => result.repeated).length;
    onProgress(done + results.length);
  }
  return { appended: releases.length - repeated, repeated, milliseconds: performance.now() - startedAt };
}
