import type { ConsumerKey, ConsumerSight, LookInput, Store } from "@tidemark/core";
import type { Bell } from "./bell.ts";
import { keyOf } from "./options.ts";

/** What is known of one consumer, and since when. */
export interface Sight {
  /** Undefined when nothing is stored of it: it was deleted. */
  readonly state: ConsumerSight | undefined;
  /** Counts looks. */
  readonly version: number;
  /** When it was asked for, by `performance.now()`. */
  readonly at: number;
  /** When the earliest deadline of its sagas is due, by `performance.now()`. */
  readonly dueAt: number | undefined;
}

/** One look at all consumers of a worker, shared by everything that it runs. */
export class Lookout<Tx> {
  readonly #store: Pick<Store<Tx>, "consumers">;
  readonly #bell: Bell;
  readonly #onLook: () => void;
  readonly #inputs = new Map<string, LookInput & object>();
  readonly #sights = new Map<string, Sight>();
  #version = 0;
  #at = Number.NEGATIVE_INFINITY;
  /** The look that was asked for last, and whether it has yet to begin. */
  #last: Promise<void> = Promise.resolve();
  #isDue = false;

  constructor(store: Pick<Store<Tx>, "consumers">, bell: Bell, onLook: () => void) {
    this.#store = store;
    this.#bell = bell;
    this.#onLook = onLook;
  }

  /** When the last look was asked for that was answered. */
  get at(): number {
    return this.#at;
  }

  get version(): number {
    return this.#version;
  }

  /** Looks at this one too from now on. `saga`: what its sagas with deadlines are stored under. */
  watch(key: ConsumerKey, saga?: string): void {
    if (!this.#inputs.has(keyOf(key))) this.#inputs.set(keyOf(key), { key, saga });
  }

  isWatched(key: ConsumerKey): boolean {
    return this.#inputs.has(keyOf(key));
  }

  sight(key: ConsumerKey): Sight | undefined {
    return this.#sights.get(keyOf(key));
  }

  /**
   * Looks again. What is seen is as of after this call. Calls at the same time share one query, and no two queries run
   * at once: what the earlier one has seen could come last.
   */
  refresh(): Promise<void> {
    if (this.#isDue) return this.#last;
    this.#isDue = true;
    this.#last = this.#last
      .catch(() => undefined)
      .then(() => {
        this.#isDue = false;
        return this.#look();
      });
    return this.#last;
  }

  /** What was seen last, unless that is older than `maxMs`, or from before `since`, by `performance.now()`. */
  async fresh(
    key: ConsumerKey,
    { maxMs, since }: { maxMs: number; since: number },
  ): Promise<ConsumerSight | undefined> {
    if (this.#at < Math.max(performance.now() - maxMs, since)) await this.refresh();
    const sight = this.sight(key);
    if (sight?.state === undefined || sight.dueAt === undefined) return sight?.state;
    return { ...sight.state, dueInMs: sight.dueAt - performance.now() };
  }

  async #look(): Promise<void> {
    const inputs = [...this.#inputs];
    const at = performance.now();
    const states = await this.#store.consumers.look(inputs.map(([, input]) => input));
    const version = this.#version + 1;
    for (const [index, [key]] of inputs.entries()) {
      const state = states[index];
      const dueAt = state?.dueInMs === undefined ? undefined : performance.now() + state.dueInMs;
      this.#sights.set(key, { state, version, at, dueAt });
    }
    this.#version = version;
    this.#at = at;
    this.#bell.ring();
    this.#onLook();
  }
}
