import { TidemarkError } from "@tidemark/core";
import { got } from "@tidemark/core/spi";

/** Ids are texts here; consequent takes what the application has, which may be numbers. */
export function toId(argument: string, id: unknown): string {
  const known = knownId(argument, id);
  if (known !== undefined) return known;
  throw invalid(argument, `${argument} is a string or a number, ${got(id)}.`);
}

/** Undefined for what is no id: consequent asks for the events of actors that it has found no id for. */
export function knownId(argument: string, id: unknown): string | undefined {
  if (typeof id === "string") return id;
  if (typeof id === "number" && Number.isFinite(id)) return String(id);
  // consequent puts the id into the state, and JSON holds neither.
  if (typeof id === "bigint" || typeof id === "number") {
    const instead = typeof id === "bigint" ? "Give it as a text: String(id)." : "Give the id that the actor has.";
    throw invalid(argument, `${argument} is a string or a finite number, ${got(id)}. ${instead}`);
  }
  return undefined;
}

/** Dates come as Dates, ISO texts, or milliseconds. */
export function toDate(argument: string, date: unknown): Date | undefined {
  if (date === undefined || date === null || date === "") return undefined;
  const read = typeof date === "string" || typeof date === "number" ? new Date(date) : date;
  if (read instanceof Date && !Number.isNaN(read.getTime())) return read;
  const what = typeof date === "string" ? "got another text" : got(date);
  throw invalid(argument, `${argument} is a Date, an ISO text or milliseconds since 1970, ${what}.`);
}

/** An id of an event; absent for none. */
export function toEventId(argument: string, id: unknown): string | undefined {
  if (id === undefined || id === null || id === "") return undefined;
  if (typeof id === "string") return id;
  throw invalid(argument, `${argument} is the id of an event, a string, ${got(id)}.`);
}

export function checkArray(argument: string, value: unknown): void {
  if (!Array.isArray(value)) throw invalid(argument, `${argument} is an array, ${got(value)}.`);
}

export function checkObject(argument: string, value: unknown, advice = ""): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw invalid(argument, `${argument} is an object, ${got(value)}. ${advice}`.trimEnd());
}

export function invalid(argument: string, message: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError("INVALID_ARGUMENT", message, { argument });
}
