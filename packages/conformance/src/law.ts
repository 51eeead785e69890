import type { Capabilities, consume, createConsumerStateStore, runInZone, Store, StoreOptions } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";
import type { Child } from "./processes.ts";
import type { Subject, TestDatabase } from "./subject.ts";

/** One database of the subject, and the ways to work on it. */
export interface Site<Tx> {
  readonly database: TestDatabase<Tx>;
  /**
   * One more store with connections of its own. `change` makes its database do something that databases do, such as
   * failing; a lie is told on top of it. Closed after the law.
   */
  readonly open: (options?: StoreOptions, change?: Change<Tx>) => Promise<Store<Tx>>;
  /** An adapter as {@link open} uses it, for laws about what the store makes of its adapter. Closed by its store. */
  readonly adapter: () => Adapter<Tx>;
  /** Runs a script of `scripts.ts` in another process. Killed after the law. */
  readonly spawn: (script: string, args?: unknown) => Promise<Child>;
}

/** What a law runs against: a fresh database and everything that can be done to it. */
export interface Bench<Tx> extends Site<Tx> {
  readonly capabilities: Capabilities;
  /** A store with default options. */
  readonly store: Store<Tx>;
  /** Core's `consume`. */
  readonly consume: typeof consume;
  /** Core's `runInZone`. */
  readonly runInZone: typeof runInZone;
  /** Core's `createConsumerStateStore`. */
  readonly stateStore: typeof createConsumerStateStore;
  /** Another database of the subject, which no store has opened yet. Dropped after the law. */
  readonly another: () => Promise<Site<Tx>>;
}

/** What happens to an adapter before a store is opened on it. */
export type Change<Tx> = (real: Adapter<Tx>) => Adapter<Tx>;

/** A lie that the law must catch: a real adapter or store of which one behaviour is changed. */
export interface Tooth {
  /** What the broken store does: "loses the second event of an append". */
  readonly lie: string;
  adapter?<Tx>(real: Adapter<Tx>): Adapter<Tx>;
  store?<Tx>(real: Store<Tx>): Store<Tx>;
  readonly consume?: typeof consume;
  readonly runInZone?: typeof runInZone;
  readonly stateStore?: typeof createConsumerStateStore;
}

/** One promise. */
export interface Law {
  /** `group/name` or `group/name/case`, never reused for another promise. */
  readonly id: string;
  /** The promise in one sentence, a present-tense fact. */
  readonly promise: string;
  /** The law speaks only of subjects of which this is true: adapters with, or without, these capabilities. */
  readonly when?: Partial<Conditions>;
  /** Throws an `AssertionError` when the promise is broken. Any other error means that the law could not be judged. */
  check<Tx>(bench: Bench<Tx>): Promise<void>;
  readonly tooth: Tooth;
}

/** What a law may demand: a capability, or that there is a server behind the adapter, or none. */
export interface Conditions extends Capabilities, Pick<Subject<never>, "server"> {}

/** Whether `law` speaks of this subject; if not, the condition that says so. */
export function inapplicable(
  law: Law,
  { capabilities, server }: Pick<Subject<never>, "capabilities" | "server">,
): keyof Conditions | undefined {
  const conditions: Conditions = { ...capabilities, server };
  const demands = Object.entries(law.when ?? {}) as [keyof Conditions, boolean][];
  return demands.find(([condition, wanted]) => conditions[condition] !== wanted)?.[0];
}

/** `target` with some members replaced; everything else is the real thing. */
export function override<T extends object>(target: T, change: (real: T) => Partial<T>): T {
  const changed = change(target);
  return new Proxy(target, {
    get: (real, name) => {
      if (Object.hasOwn(changed, name)) return Reflect.get(changed, name);
      const member: unknown = Reflect.get(real, name, real);
      if (typeof member !== "function") return member;
      const bound: unknown = member.bind(real);
      return bound;
    },
  });
}
