import { invalidArgument } from "./errors.ts";

/** Checks the option `argument`. Throws INVALID_ARGUMENT. */
export function milliseconds(argument: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 0x7fff_ffff) return value;
  throw invalidArgument(argument, `${argument} is a whole number of milliseconds from 1, got ${String(value)}.`);
}
