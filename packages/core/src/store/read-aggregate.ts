import type { StoredEvent } from "../adapter/append.ts";
import type { Operation } from "../adapter/operation.ts";
import type { AggregateQuery } from "../adapter/reads.ts";
import type { Codec } from "../codec.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { EventMetadata, RecordedEvent } from "../event.ts";
import type { AggregateInput } from "../values/aggregate.ts";
import { invalid, resolveAggregate } from "./requests.ts";
import type { ReadAggregateOptions } from "./store.ts";
import { throwIfAborted } from "./timing.ts";

export const FIRST_PAGE = 16;
const LARGEST_PAGE = 1_000;
export const PAGE_BYTES: number = 4 * 1024 * 1024;

type ReadPage = (query: AggregateQuery, op: Operation) => Promise<readonly StoredEvent[]>;

/**
 * Pages through one aggregate. The first page is small; each next one is sized by what the events so far weighed. Small
 * events may have large ones behind them, so a page is bounded by its bytes as well.
 */
export async function* streamAggregate(
  aggregate: AggregateInput,
  options: ReadAggregateOptions,
  codec: Codec,
  readPage: ReadPage,
): AsyncGenerator<RecordedEvent, void, undefined> {
  const ref = resolveAggregate(aggregate);
  const direction = resolveDirection(options.direction);
  let from = version("fromVersion", options.fromVersion ?? 1);
  let to = version("toVersion", options.toVersion ?? Number.MAX_SAFE_INTEGER);
  let left = options.limit === undefined ? Number.MAX_SAFE_INTEGER : version("limit", options.limit);
  let size = FIRST_PAGE;
  while (left > 0 && from <= to) {
    const limit = Math.min(size, left);
    const page = await readPage({ ref, from, to, direction, limit, bytes: PAGE_BYTES }, { signal: options.signal });
    for (const row of page) {
      yield decodeEvent(row, codec);
      throwIfAborted(options.signal);
    }
    const last = page.at(-1);
    if (last === undefined || isShort(page, limit)) return;
    left -= page.length;
    if (direction === "backward") to = last.version - 1;
    else from = last.version + 1;
    size = nextSize(page);
  }
}

/** A stored event as users see it. Throws UNREADABLE, naming the position. */
export function decodeEvent(row: StoredEvent, codec: Codec): RecordedEvent {
  try {
    const { type } = row;
    const metadata: EventMetadata =
      row.metadata === "{}" ? {} : asMetadata(codec.decode(row.metadata, { kind: "event-metadata", type }));
    return {
      id: row.id,
      position: row.position,
      aggregate: row.ref,
      version: row.version,
      type,
      data: codec.decode(row.data, { kind: "event-data", type }),
      metadata,
      occurredOn: new Date(row.occurredOn),
      recordedAt: new Date(row.recordedAt),
    };
  } catch (cause) {
    if (!isTidemarkError(cause, "UNREADABLE")) throw cause;
    throw new TidemarkError(
      "UNREADABLE",
      `Position ${row.position}: ${cause.message}`,
      { position: row.position },
      { cause: cause.cause },
    );
  }
}

/** Metadata was checked to be an object when it was written; what a serializer made of it is the serializer's. */
export function asMetadata(decoded: unknown): EventMetadata {
  return decoded as EventMetadata;
}

/** How many events to read next, by what those of this page weighed. */
export function nextSize(page: readonly StoredEvent[]): number {
  const affordable = Math.floor(PAGE_BYTES / Math.max(1, charactersOf(page) / page.length));
  return Math.max(1, Math.min(affordable, page.length * 4, LARGEST_PAGE));
}

/** Full neither by its events nor by its bytes: nothing follows it. */
export function isShort(page: readonly StoredEvent[], limit: number): boolean {
  return page.length < limit && charactersOf(page) * 3 < PAGE_BYTES;
}

/** Of data and metadata. */
function charactersOf(page: readonly StoredEvent[]): number {
  return page.reduce((sum, row) => sum + row.data.length + row.metadata.length, 0);
}

function resolveDirection(direction: "forward" | "backward" = "forward"): "forward" | "backward" {
  if (direction === "forward" || direction === "backward") return direction;
  throw invalid("direction", `direction is "forward" or "backward", got ${JSON.stringify(direction)}.`);
}

function version(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(name, `${name} is a whole number, got ${String(value)}.`);
}
