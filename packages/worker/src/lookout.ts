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
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

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

  /** Looks again. What is seen is as of after this call; calls at the same time share one query. */
  refresh(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running.catch(() => undefined).then(() => this.#begin());
    return this.#next;
  }

  /** What was seen last, unless that is older than `maxMs`. */
  async fresh(key: ConsumerKey, maxMs: number): Promise<ConsumerSight | undefined> {
    if (performance.now() - this.#at > maxMs) await this.refresh();
    const sight = this.sight(key);
    if (sight?.state === undefined || sight.dueAt === undefined) return sight?.state;
    return { ...sight.state, dueInMs: sight.dueAt - performance.now() };
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    this.#running = this.#look().finally(() => (this.#running = undefined));
    return this.#running;
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
