import assert, { AssertionError } from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { type ErrorCode, isTidemarkError, type TidemarkError } from "@tidemark/core";

/** What laws say about values: `assert.strict` of Node. Its errors are what the judge takes for a broken promise. */
export { assert };

/** `promise` rejects with a TidemarkError of this code; returns it. Anything else breaks the law. */
export async function refuses<C extends ErrorCode>(code: C, promise: Promise<unknown>): Promise<TidemarkError<C>> {
  const error: unknown = await outcome(promise);
  if (isTidemarkError(error, code)) return error;
  throw new AssertionError({ message: `Expected ${code}, got ${describe(error)}.` });
}

/** What `promise` rejects with, or the marker {@link FULFILLED}. */
export function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => FULFILLED,
    (error: unknown) => error,
  );
}

export const FULFILLED: unique symbol = Symbol("fulfilled");

/** `promise` fulfils; when it rejects, the law is broken rather than undecided. */
export async function fulfils<T>(promise: Promise<T>, promised: string): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw new AssertionError({ message: `${promised}, but the call was refused: ${describe(error)}.` });
  }
}

const patience = new AsyncLocalStorage<number>();

/**
 * Runs a law that waits only this part of the time that it gives a store by itself: against one that is broken, which
 * would be waited for in vain, nobody has to be sure that it is not just slow.
 */
export function withPatience<T>(part: number, work: () => T): T {
  return patience.run(part, work);
}

function patiently(ms: number): number {
  return ms * (patience.getStore() ?? 1);
}

/** Asks again and again until `condition` answers with something but undefined or false. Broken after `timeoutMs`. */
export async function eventually<T>(
  promised: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + patiently(timeoutMs);
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new AssertionError({ message: `${promised}: not within ${timeoutMs} ms.` });
    await turn(5);
  }
}

/** `promise` settles within `timeoutMs`, else the law is broken: something waits that must not. */
export async function promptly<T>(promised: string, promise: Promise<T>, timeoutMs = 20_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const message = `${promised}: not settled within ${timeoutMs} ms.`;
    timer = setTimeout(() => reject(new AssertionError({ message })), patiently(timeoutMs));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What `promise` comes to when nothing holds it up; undefined when it still waits after `ms`. */
export function atOnce<T>(promise: Promise<T>, ms = 250): Promise<T | undefined> {
  return Promise.race([promise, turn(ms).then(() => undefined)]);
}

/** `promise`, which the law looks at later: until then its rejection is not a stray one. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** Runs `work` as code of its own: the law is not taken to be inside the transactions that `work` leaves open. */
export function elsewhere<T>(work: () => Promise<T>): Promise<T> {
  return Promise.resolve().then(work);
}

/** A door that stays shut until it is opened: for forcing an interleaving. */
export interface Gate {
  readonly passed: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

/** Lets everything run that can, for `ms`: between two questions of a poll, never to wait for a thing to happen. */
export function turn(ms = 0): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

function describe(error: unknown): string {
  if (error === FULFILLED) return "success";
  if (isTidemarkError(error)) return `${error.code} (${error.message})`;
  // What it is put into ends with a full stop of its own.
  return error instanceof Error ? `${error.name}: ${error.message.replace(/\.$/, "")}` : String(error);
}
