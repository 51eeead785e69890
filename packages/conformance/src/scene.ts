import type { AnyConsumer, ConsumeOptions, ConsumeResult, Store } from "@tidemark/core";
import type { Bench, Law } from "./law.ts";
import type { TestDatabase } from "./subject.ts";

/** What a law about consuming has: state in one database, and a log that may be in another one. */
export interface Scene<Tx> extends Bench<Tx> {
  /** Where the events are. */
  readonly log: Store<Tx>;
  /** The database of {@link log}, when it is not that of the state. */
  readonly elsewhere: TestDatabase<Tx> | undefined;
  /** One cycle, with the state in `store` and the events in {@link log}. */
  readonly run: (consumer: AnyConsumer<Tx>, options?: ConsumeOptions, store?: Store<Tx>) => Promise<ConsumeResult>;
}

export interface SceneLaw extends Omit<Law, "id" | "check"> {
  /** What follows the group in the id. */
  readonly name: string;
  readonly check: <Tx>(scene: Scene<Tx>) => Promise<void>;
}

/** Makes laws of a group out of what they say about a scene. */
export function lawsAbout(group: string): {
  /** The law with the events beside the state. */
  readonly withOwnLog: (law: SceneLaw) => Law;
  /** The law with the events in another log. */
  readonly withForeignLog: (law: SceneLaw) => Law;
} {
  return {
    withOwnLog: ({ name, check, ...law }) => ({
      ...law,
      id: `${group}/${name}`,
      check: (bench) => check(scene(bench, bench.store, undefined)),
    }),
    withForeignLog: ({ name, check, ...law }) => ({
      ...law,
      id: `${group}/foreign-log/${name}`,
      promise: `${law.promise.slice(0, -1)}, also when the events are in another log.`,
      check: async (bench) => {
        const elsewhere = await bench.another();
        return check(scene(bench, await elsewhere.open(), elsewhere.database));
      },
    }),
  };
}

function scene<Tx>(bench: Bench<Tx>, log: Store<Tx>, elsewhere: TestDatabase<Tx> | undefined): Scene<Tx> {
  const run: Scene<Tx>["run"] = (consumer, options, store = bench.store) =>
    bench.consume(store, consumer, { log, ...options });
  return { ...bench, log, elsewhere, run };
}
