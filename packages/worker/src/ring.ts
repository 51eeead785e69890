import {
  bucketOf,
  type EventSource,
  isTidemarkError,
  type Page,
  type Position,
  type RecordedEvent,
} from "@tidemark/core";
import type { Matches } from "./matcher.ts";
import { copyEvent, measure } from "./plain.ts";

export interface RingParts {
  readonly log: Pick<EventSource, "readAll">;
  /** The head of the log as of late; undefined until it is known. */
  readonly head: () => Position | undefined;
  /** Events that are kept at most; 0: none, and everybody reads for himself. */
  readonly capacity: number;
  /** Events that are read at once. */
  readonly pageSize: number;
}

interface Kept {
  readonly event: RecordedEvent;
  readonly bucket: number;
  readonly bytes: number;
}

/** Of events as they are in memory, roughly. */
const MOST_BYTES = 32 * 1024 * 1024;
/** Reads in a row for one who finds nothing in them. */
const MOST_READS = 4;

/**
 * The recent events of a log, read once for all segments of this process, whatever their scopes.
 *
 * It has every event of the log after {@link #start} up to {@link #end}, and both are positions that the log has given:
 * nothing can appear at or below them any more. So a page out of it, filtered in memory, goes on where the log's own
 * page would or earlier, and never past a head that was read.
 */
export class Ring {
  readonly #parts: RingParts;
  #kept: Kept[] = [];
  #bytes = 0;
  #start: Position | undefined;
  #end: Position | undefined;
  #filling: Promise<void> | undefined;
  /** The end after which something stands that cannot be read by everybody. */
  #blockedAt: Position | undefined;
  #isOff: boolean;

  constructor(parts: RingParts) {
    this.#parts = parts;
    this.#isOff = parts.capacity === 0;
  }

  /** How many events it has. */
  get size(): number {
    return this.#kept.length;
  }

  /** As the log's `readAll`; undefined for one who has to read for himself, because he is behind or nobody can share. */
  async page(after: Position, limit: number, matches: Matches): Promise<Page | undefined> {
    if (!(await this.#reach(after))) return undefined;
    let from = after;
    for (let reads = 0; ; reads++) {
      const end = this.#end;
      if (this.#start === undefined || end === undefined || from < this.#start || from > end) break;
      const page = this.#filter(from, end, limit, matches);
      if (page.events.length > 0) return page;
      from = end;
      if (this.#isAtHead(end) || reads === MOST_READS || !(await this.#fill())) break;
    }
    // It has moved on meanwhile. Up to `from` there is nothing for this reader.
    return from > after || this.#isAtHead(after) ? { events: [], next: from } : undefined;
  }

  /** Whether it can serve one who has got to `after`: from what it has, or because that is at the tail of the log. */
  async #reach(after: Position): Promise<boolean> {
    if (this.#isOff) return false;
    if (this.#start !== undefined && after < this.#start) return false;
    for (let reads = 0; this.#end !== undefined && after > this.#end; reads++) {
      // Others are a little behind this reader: going on instead of anew keeps what they need.
      if (reads === MOST_READS || after - this.#end > BigInt(this.#parts.pageSize) || !(await this.#fill())) {
        return this.#restart(after);
      }
    }
    if (this.#end === undefined) return this.#restart(after);
    return this.#start !== undefined && after >= this.#start;
  }

  #restart(after: Position): boolean {
    const head = this.#parts.head();
    if (head === undefined || this.#isOff || head - after > BigInt(this.#parts.pageSize)) return false;
    this.#kept = [];
    this.#bytes = 0;
    this.#start = after;
    this.#end = after;
    return true;
  }

  /** Reads on from the end. False when that did not help. */
  async #fill(): Promise<boolean> {
    const before = this.#end;
    if (before === undefined || before === this.#blockedAt) return false;
    this.#filling ??= this.#read(before).finally(() => (this.#filling = undefined));
    await this.#filling;
    return this.#end !== undefined && this.#end > before;
  }

  async #read(end: Position): Promise<void> {
    let page: Page;
    try {
      page = await this.#parts.log.readAll({ after: end, limit: this.#parts.pageSize });
    } catch (error) {
      // Whoever needs what cannot be read will find out; the others pass it by with their own scopes.
      if (isTidemarkError(error, "UNREADABLE")) this.#blockedAt = end;
      return;
    }
    if (this.#end !== end) return;
    for (const event of page.events) {
      const bytes = measure(event);
      if (bytes === undefined) {
        this.#turnOff();
        return;
      }
      this.#kept.push({ event, bucket: bucketOf(event.aggregate), bytes });
      this.#bytes += bytes;
    }
    this.#end = page.next;
    this.#forget();
  }

  /** Once and for all: what comes out of this log are objects of the application's own. */
  #turnOff(): void {
    this.#isOff = true;
    this.#kept = [];
    this.#bytes = 0;
    this.#start = undefined;
    this.#end = undefined;
  }

  #forget(): void {
    let count = 0;
    let bytes = this.#bytes;
    while (this.#kept.length - count > this.#parts.capacity || bytes > MOST_BYTES) {
      const oldest = this.#kept[count];
      if (oldest === undefined) break;
      bytes -= oldest.bytes;
      this.#start = oldest.event.position;
      count += 1;
    }
    if (count > 0) this.#kept = this.#kept.slice(count);
    this.#bytes = bytes;
  }

  #filter(after: Position, end: Position, limit: number, matches: Matches): Page {
    const events: RecordedEvent[] = [];
    for (let index = this.#firstAfter(after); index < this.#kept.length; index++) {
      const kept = this.#kept[index];
      if (kept === undefined || !matches(kept.event, kept.bucket)) continue;
      events.push(copyEvent(kept.event));
      if (events.length === limit) return { events, next: kept.event.position };
    }
    return { events, next: end };
  }

  #firstAfter(after: Position): number {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const kept = this.#kept[middle];
      if (kept !== undefined && kept.event.position > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #isAtHead(position: Position): boolean {
    const head = this.#parts.head();
    return head !== undefined && position >= head;
  }
}
