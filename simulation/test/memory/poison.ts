import { TransientError } from "@tidemark/core";
import type { Dice } from "./dice.ts";

/** Which handlers fail, at which events, and how often. */
export class Poison {
  readonly #dice: Dice;
  /** How often a handler is still to fail, by `consumer/what`. */
  readonly #left = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #share: number;
  #mended = false;

  constructor(dice: Dice) {
    this.#dice = dice;
    this.#share = dice.pick([0, 0.1, 0.2, 0.4]);
  }

  /** Throws what the handler throws. */
  strike(consumer: string, what: string | bigint): void {
    if (this.#mended) return;
    if (this.#dice.chance(0.01)) throw new TransientError("Somebody else's server is away for a moment.");
    const id = `${consumer}/${what}`;
    const left = this.#left.get(id) ?? this.#amount();
    this.#left.set(id, left - 1);
    if (left <= 0) return;
    this.#failures.set(id, this.failures(consumer, what) + 1);
    throw new Error(`${id} is poisoned`);
  }

  failures(consumer: string, what: string | bigint): number {
    return this.#failures.get(`${consumer}/${what}`) ?? 0;
  }

  mendOne(): void {
    const bad = [...this.#left].filter(([, left]) => left > 0);
    if (bad.length > 0) this.#left.set(this.#dice.pick(bad)[0], 0);
  }

  mendAll(): void {
    this.#mended = true;
  }

  /** Most are sound, some fail a few times, some until they are mended. */
  #amount(): number {
    if (!this.#dice.chance(this.#share)) return 0;
    return this.#dice.chance(0.4) ? Infinity : this.#dice.between(1, 6);
  }
}
