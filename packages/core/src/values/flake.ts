import { randomBytes } from "node:crypto";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HALF_LENGTH = 11;
const COUNTER_LIMIT = 0x10000;

/** Mints ids. Each call returns an id that sorts after all that this generator returned before. */
export type FlakeGenerator = () => string;

export interface FlakeOptions {
  /** Milliseconds since 1970; may step back. Default `Date.now`. */
  readonly clock?: (() => number) | undefined;
  /** Eight bytes that no other process uses. Default: random. */
  readonly node?: Uint8Array | undefined;
}

/**
 * A generator of flake ids: 128 bits as 22 base-62 digits whose byte order is their time order. The upper half holds
 * 48 bits of milliseconds and 16 bits of counter, the lower half 64 random bits of this process. Ids of one generator
 * strictly increase, also when the clock steps back or a millisecond holds more than 65 536 of them: time is then
 * borrowed from the future.
 */
export function createFlakeGenerator(options: FlakeOptions = {}): FlakeGenerator {
  const clock = options.clock ?? Date.now;
  const node = options.node ?? randomBytes(8);
  if (node.length !== 8) throw new RangeError(`A flake node is eight bytes, got ${node.length}.`);
  const view = new DataView(node.buffer, node.byteOffset, 8);
  const lower = base62(view.getUint32(0), view.getUint32(4));
  let time = 0;
  let counter = 0;
  return () => {
    const now = Math.floor(clock());
    if (now > time) {
      time = now;
      counter = 0;
    } else if (++counter === COUNTER_LIMIT) {
      time += 1;
      counter = 0;
    }
    return base62(Math.floor(time / COUNTER_LIMIT), (time % COUNTER_LIMIT) * COUNTER_LIMIT + counter) + lower;
  };
}

/** The moment, to the millisecond, that a flake id was minted at; undefined when `id` is not a flake id. */
export function flakeTime(id: string): Date | undefined {
  if (!/^[0-9A-Za-z]{22}$/.test(id)) return undefined;
  let upper = 0n;
  for (const digit of id.slice(0, HALF_LENGTH)) upper = upper * 62n + BigInt(DIGITS.indexOf(digit));
  const time = new Date(Number(upper >> 16n));
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** A 64-bit number, given as two halves of 32 bits, in eleven digits: long division, because BigInt is far slower. */
function base62(high: number, low: number): string {
  let digits = "";
  for (let index = 0; index < HALF_LENGTH; index++) {
    const carried = (high % 62) * 0x1_0000_0000 + low;
    high = Math.floor(high / 62);
    low = Math.floor(carried / 62);
    digits = DIGITS.charAt(carried % 62) + digits;
  }
  return digits;
}
