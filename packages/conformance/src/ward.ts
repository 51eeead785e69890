import type { ConsumeOptions, ConsumeResult, Store } from "@tidemark/core";
import { type Handle, handlerFor, KINDS, type Kind, patient, type PatientOptions } from "./dead-letters.ts";
import type { Bench, Law } from "./law.ts";

/** What a law about dead letters has: state in one database, and a log that may be in another one. */
export interface Ward<Tx> extends Bench<Tx> {
  /** The kind of consumer that the law speaks of this time. */
  readonly kind: Kind;
  /** Where the events are. */
  readonly log: Store<Tx>;
  /** What cannot be handled, by name. */
  readonly broken: Set<string>;
  /** One cycle of the consumer. */
  readonly run: (options?: RunOptions<Tx>) => Promise<ConsumeResult>;
}

interface RunOptions<Tx> extends ConsumeOptions, PatientOptions {
  readonly store?: Store<Tx>;
  /** Default: has an effect, unless the event is broken. */
  readonly handle?: Handle<Tx>;
}

export interface WardLaw extends Omit<Law, "id" | "check"> {
  /** What follows the group. */
  readonly name: string;
  /** The kinds of consumers that it speaks of. Default: all. */
  readonly kinds?: readonly Kind[];
  /** Whether it is told a second time with the events in another log. Default: no. */
  readonly inAnyLog?: boolean;
  check<Tx>(ward: Ward<Tx>): Promise<void>;
}

const LABELS: Readonly<Record<Kind, string>> = {
  projector: "projector",
  batch: "projector of batches",
  observer: "observer",
  saga: "saga",
};

/** One law for each kind of consumer that it speaks of, and each again with a foreign log where it may be anywhere. */
export function forWard(group: string, laws: readonly WardLaw[]): readonly Law[] {
  return laws.flatMap((law) => {
    const { name, kinds = KINDS, inAnyLog = false, promise, when, tooth } = law;
    return kinds.flatMap((kind) => {
      const told = kinds.length === 1 ? promise : `${promise.slice(0, -1)} (${LABELS[kind]}).`;
      const suffix = kinds.length === 1 ? "" : `/${kind}`;
      const own: Law = {
        ...(when !== undefined && { when }),
        tooth,
        id: `${group}/${name}${suffix}`,
        promise: told,
        check: (bench) => law.check(ward(bench, kind, bench.store)),
      };
      const foreign: Law = {
        ...own,
        id: `${group}/foreign-log/${name}${suffix}`,
        promise: `${told.slice(0, -1)}, also when the events are in another log.`,
        check: async (bench) => {
          const elsewhere = await bench.another();
          return law.check(ward(bench, kind, await elsewhere.open()));
        },
      };
      return inAnyLog ? [own, foreign] : [own];
    });
  });
}

function ward<Tx>(bench: Bench<Tx>, kind: Kind, log: Store<Tx>): Ward<Tx> {
  const broken = new Set<string>();
  const run: Ward<Tx>["run"] = ({ store = bench.store, handle, ...options } = {}) =>
    bench.consume(store, patient(kind, handle ?? handlerFor(store, broken, options.name), options), {
      log,
      ...options,
    });
  return { ...bench, kind, log, broken, run };
}
