import type {
  AggregateInput,
  AppendRequest,
  EventInput,
  EventSource,
  Position,
  RecordedEvent,
  Scope,
} from "@tidemark/core";
import { assert } from "./expect.ts";

/** An aggregate of the type that most laws use. */
export function account(id: string): AggregateInput {
  return { type: "account", id };
}

/** `count` events whose data is their number, counted from `first`. */
export function deposits(count: number, first = 1): EventInput[] {
  return Array.from({ length: count }, (_, index) => ({ type: "deposited", data: { amount: first + index } }));
}

/** An append of `count` deposits to account `id`. */
export function deposit(id: string, count = 1, more: Partial<AppendRequest> = {}): AppendRequest {
  return { aggregate: account(id), events: deposits(count), ...more };
}

/** The whole log as a reader with a checkpoint sees it: page by page, until it has caught up. */
export async function readLog(
  source: EventSource,
  options: { readonly after?: Position; readonly limit?: number; readonly scope?: Scope } = {},
): Promise<{ readonly events: readonly RecordedEvent[]; readonly next: Position }> {
  const events: RecordedEvent[] = [];
  let after = options.after;
  for (;;) {
    const page = await source.readAll({ ...options, after });
    events.push(...page.events);
    after = page.next;
    if (page.events.length === 0) return { events, next: page.next };
  }
}

/** `work` leaves the log as it found it, to the last field. */
export async function leavesTheLog(source: EventSource, work: () => Promise<void>): Promise<void> {
  const before = await readLog(source);
  await work();
  assert.deepEqual(await readLog(source), before);
  assert.equal(await source.head(), before.next);
}
