import { randomBytes } from "node:crypto";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 2020-01-01T07:00:00Z, from which consequent's ids count: those of both are in one order. */
const EPOCH = 1_577_862_000_000;
const COUNTER_LIMIT = 0x1_0000;
const COUNTER_BITS = 48n;
const TIME_BITS = 64n;

/** Mints ids. Each call returns an id that sorts after all that this generator returned before. */
export type FlakeGenerator = () => string;

export interface FlakeOptions {
  /** Milliseconds since 1970; may step back. What is before 2020 counts as its beginning. Default `Date.now`. */
  readonly clock?: (() => number) | undefined;
  /** Six bytes that no other process uses. Default: random. */
  readonly node?: Uint8Array | undefined;
}

/**
 * A generator of flake ids: 128 bits as 22 base-62 digits whose byte order is their time order, also among the ids that
 * consequent makes. From the highest bit: 64 bits of milliseconds since 2020, 16 bits of counter, 48 random bits of this
 * process. Ids of one generator strictly increase, also when the clock steps back or a millisecond holds more than 65 536 of
 * them: time is then borrowed from the future.
 */
export function createFlakeGenerator(options: FlakeOptions = {}): FlakeGenerator {
  const clock = options.clock ?? Date.now;
  const node = options.node ?? randomBytes(6);
  if (node.length !== 6) throw new RangeError(`A flake node is six bytes, got ${node.length}.`);
  const lowest = BigInt(`0x${Buffer.from(node).toString("hex")}`);
  let time = 0;
  let counter = -1;
  let number = new Base62(lowest);
  return () => {
    const now = Math.floor(clock()) - EPOCH;
    if (now > time) {
      time = now;
      counter = 0;
    } else if (++counter === COUNTER_LIMIT) {
      time += 1;
      counter = 0;
    }
    if (counter === 0) number = new Base62((BigInt(time) << TIME_BITS) | lowest);
    else number.add(STEP);
    return number.toString();
  };
}

/** The moment, to the millisecond, that a flake id was minted at; undefined when `id` is not a flake id. */
export function flakeTime(id: string): Date | undefined {
  if (!/^[0-9A-Za-z]{22}$/.test(id)) return undefined;
  let number = 0n;
  for (const digit of id) number = number * 62n + BigInt(DIGITS.indexOf(digit));
  const time = new Date(Number(number >> TIME_BITS) + EPOCH);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** A number is kept in limbs of so many digits, the highest first: small enough for the quick arithmetic of small integers. */
const LIMB_DIGITS = [2, 5, 5, 5, 5] as const;
const LIMB = 62 ** 5;

/** A number of 22 digits. Adding to it is far cheaper than converting the next one would be. */
class Base62 {
  readonly #limbs: number[];
  readonly #texts: string[];

  constructor(value: bigint) {
    this.#limbs = limbsOf(value);
    this.#texts = this.#limbs.map((limb, index) => digits(limb, LIMB_DIGITS[index] ?? 0));
  }

  add(other: readonly number[]): void {
    let carry = 0;
    for (let index = LIMB_DIGITS.length - 1; index >= 0; index--) {
      const added = (other[index] ?? 0) + carry;
      if (added === 0) continue;
      const sum = (this.#limbs[index] ?? 0) + added;
      carry = sum < LIMB ? 0 : 1;
      const limb = sum - carry * LIMB;
      this.#limbs[index] = limb;
      this.#texts[index] = digits(limb, LIMB_DIGITS[index] ?? 0);
    }
  }

  toString(): string {
    return this.#texts.join("");
  }
}

/** What an id is above the one before it. */
const STEP = limbsOf(1n << COUNTER_BITS);

function limbsOf(value: bigint): number[] {
  let rest = value;
  return LIMB_DIGITS.map(() => {
    const limb = Number(rest % BigInt(LIMB));
    rest /= BigInt(LIMB);
    return limb;
  }).toReversed();
}

function digits(value: number, count: number): string {
  let text = "";
  for (let rest = value; text.length < count; rest = Math.floor(rest / 62)) text = DIGITS.charAt(rest % 62) + text;
  return text;
}
