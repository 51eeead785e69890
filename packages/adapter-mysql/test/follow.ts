import { type EventSource, START } from "@tidemark/core";

export interface Follower {
  /** Aggregates and versions of what was read. */
  readonly seen: readonly string[];
  /** Reads what is new. */
  poll(): Promise<readonly string[]>;
}

/** A reader with a checkpoint. */
export function follow(source: EventSource): Follower {
  const seen: string[] = [];
  let after = START;
  return {
    seen,
    poll: async () => {
      const before = seen.length;
      for (;;) {
        const { events, next } = await source.readAll({ after, limit: 1_000 });
        for (const { aggregate, version } of events) seen.push(`${aggregate.id}@${version}`);
        after = next;
        if (events.length === 0) return seen.slice(before);
      }
    },
  };
}

/** 1 … `last`. */
export function range(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}
