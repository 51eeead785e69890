import { TidemarkError } from "../errors.ts";
import { compareBytes, unstorable } from "./text.ts";

/** How often each node has changed something, by node id. A node that is not in it is at 0. */
export type VectorClock = Readonly<Record<string, number>>;

/** A vector clock, or its text. */
export type VectorInput = string | VectorClock;

/** How `a` stands to `b`: `"before"` when b has seen all that a has, and more; `"concurrent"` when each has more. */
export type VectorOrder = "equal" | "before" | "after" | "concurrent";

/**
 * Reads `"a:1;b:2"`, in any order of nodes; `""` is the empty clock. A node id may be empty (`":1"`), counters of 0 are
 * left out. Errors: INVALID_ARGUMENT.
 */
export function parse(text: string): VectorClock {
  return Object.fromEntries(parseText(text));
}

/**
 * The canonical text: nodes ascending by bytes, without zeros. Two clocks are equal when their texts are. Errors:
 * INVALID_ARGUMENT for a node id that holds `:` or `;`, whose text could not be read again.
 */
export function stringify(clock: VectorInput): string {
  return [...counters(clock)]
    .sort(([a], [b]) => compareBytes(a, b))
    .map(([node, count]) => `${node}:${count}`)
    .join(";");
}

/** `clock` with one more change of `node`. Errors: INVALID_ARGUMENT. */
export function increment(clock: VectorInput, node: string): VectorClock {
  const counts = counters(clock);
  const count = (counts.get(node) ?? 0) + 1;
  return Object.fromEntries(counts.set(checkNode(node), checkCount(node, count)));
}

/** What all of them have seen together: of each node the greatest counter. Errors: INVALID_ARGUMENT. */
export function merge(...clocks: readonly VectorInput[]): VectorClock {
  const merged = new Map<string, number>();
  for (const clock of clocks) {
    for (const [node, count] of counters(clock)) merged.set(node, Math.max(count, merged.get(node) ?? 0));
  }
  return Object.fromEntries(merged);
}

/** How `a` stands to `b`. Errors: INVALID_ARGUMENT. */
export function compare(a: VectorInput, b: VectorInput): VectorOrder {
  const left = counters(a);
  const right = counters(b);
  const leftHasMore = hasMore(left, right);
  const rightHasMore = hasMore(right, left);
  if (leftHasMore && rightHasMore) return "concurrent";
  if (leftHasMore) return "after";
  return rightHasMore ? "before" : "equal";
}

/** The number of changes that `clock` has seen: the sum of its counters. Errors: INVALID_ARGUMENT. */
export function version(clock: VectorInput): number {
  let sum = 0;
  for (const count of counters(clock).values()) sum += count;
  return sum;
}

function hasMore(counts: ReadonlyMap<string, number>, than: ReadonlyMap<string, number>): boolean {
  for (const [node, count] of counts) if (count > (than.get(node) ?? 0)) return true;
  return false;
}

/** A map and not an object, for nodes named as properties that every object has. */
function counters(clock: VectorInput): Map<string, number> {
  if (typeof clock === "string") return parseText(clock);
  // Of a Map, nothing would be left; of an array, its indexes.
  const kind = Object.prototype.toString.call(clock).slice(8, -1);
  if (kind !== "Object") {
    throw invalid(`A vector clock is a text like "a:1;b:2" or an object of counters by node, got ${kind}.`);
  }
  const counts = new Map<string, number>();
  for (const [node, count] of Object.entries(clock)) {
    if (checkCount(checkNode(node), count) > 0) counts.set(node, count);
  }
  return counts;
}

function parseText(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  // Without a node nothing stands between two separators: what other libraries write may begin or end with one.
  for (const pair of text.split(";")) if (pair !== "") addPair(pair, counts);
  return counts;
}

function addPair(pair: string, counts: Map<string, number>): void {
  const colon = pair.indexOf(":");
  const node = pair.slice(0, colon);
  const digits = pair.slice(colon + 1);
  if (colon === -1 || !/^[0-9]+$/.test(digits)) {
    throw invalid(
      `${JSON.stringify(pair)} is no part of a vector clock. Write each node as node:count, parted by semicolons, with ` +
        `node ids that hold neither ":" nor ";".`,
    );
  }
  if (counts.has(node)) throw invalid(`A vector clock names the node ${JSON.stringify(node)} twice. Name it once.`);
  const count = checkCount(checkNode(node), Number(digits));
  if (count > 0) counts.set(node, count);
}

function checkNode(node: string): string {
  if (typeof node !== "string") throw invalid(`A node id is a string, got ${typeof node}.`);
  if (node.includes(":") || node.includes(";")) {
    throw invalid(
      `The node id ${JSON.stringify(node)} holds ":" or ";", which part the nodes in a vector clock's text. Choose another ` +
        "one, for example with - in their place.",
    );
  }
  const reason = unstorable(node);
  if (reason !== undefined)
    throw invalid(`A node id holds ${reason}, which no database can compare. Choose another one.`);
  return node;
}

function checkCount(node: string, count: number): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw invalid(
    `The counter of node ${JSON.stringify(node)} is ${String(count)}. Counters are whole numbers from 0 to 2^53 - 1.`,
  );
}

function invalid(message: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError("INVALID_ARGUMENT", message, { argument: "vectorClock" });
}
