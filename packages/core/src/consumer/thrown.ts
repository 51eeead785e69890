import { inspect } from "node:util";
import { storable } from "../values/text.ts";

/** What can be told of anything that was thrown, in texts of bounded length. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** Of each text, at most; the rest is cut. What is told is stored, and read with every look at the consumer. */
const LONGEST = 8_192;

/** Never throws itself, whatever a handler has thrown. */
export function describeThrown(thrown: unknown): Thrown {
  try {
    if (typeof thrown === "string") return { name: "Thrown", message: cut(thrown), stack: undefined };
    if (!(thrown instanceof Error)) return { name: "Thrown", message: cut(inspect(thrown)), stack: undefined };
    const { name, message, stack } = thrown;
    return { name: cut(name), message: cut(message), stack: stack === undefined ? undefined : cut(stack) };
  } catch {
    return { name: "Thrown", message: "something that cannot be looked at", stack: undefined };
  }
}

/** The same in one text, which every database can store: the stack where there is one. */
export function thrownAsText(thrown: unknown): string {
  const { name, message, stack } = describeThrown(thrown);
  return storable(stack ?? `${name}: ${message}`);
}

function cut(text: unknown): string {
  const whole = String(text);
  return whole.length <= LONGEST ? whole : `${whole.slice(0, LONGEST)} … (${whole.length - LONGEST} characters cut)`;
}
