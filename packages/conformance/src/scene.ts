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
  /** What follows `consuming/`. */
  readonly name: string;
  readonly check: <Tx>(scene: Scene<Tx>) => Promise<void>;
}

/** The law with the events beside the state. */
export function withOwnLog({ name, check, ...law }: SceneLaw): Law {
  return { ...law, id: `consuming/${name}`, check: (bench) => check(scene(bench, bench.store, undefined)) };
}

/** The law with the events in another log. */
export function withForeignLog({ name, check, ...law }: SceneLaw): Law {
  return {
    ...law,
    id: `consuming/foreign-log/${name}`,
    promise: `${law.promise.slice(0, -1)}, also when the events are in another log.`,
    check: async (bench) => {
      const elsewhere = await bench.another();
      return check(scene(bench, await elsewhere.open(), elsewhere.database));
    },
  };
}

function scene<Tx>(bench: Bench<Tx>, log: Store<Tx>, elsewhere: TestDatabase<Tx> | undefined): Scene<Tx> {
  const run: Scene<Tx>["run"] = (consumer, options, store = bench.store) =>
    bench.consume(store, consumer, { log, ...options });
  return { ...bench, log, elsewhere, run };
}
