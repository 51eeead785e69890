import type { EventSource, Page, Position, RecordedEvent, Scope } from "@tidemark/core";
import { type Matches, matcherOf } from "./matcher.ts";
import type { Tail } from "./tail.ts";

export interface PagesParts {
  readonly tail: Tail;
  readonly fetchSize: number;
  readonly prefetch: boolean;
}

/** What comes after a position: read ahead, or left over. */
interface Ahead {
  readonly after: Position;
  /** Undefined when it could not be read. */
  readonly page: Promise<Page | undefined>;
}

/** Where one segment's events come from: the ring at the tail of the log, else pages of its own, one of them ahead. */
export class Pages {
  readonly #parts: PagesParts;
  #ahead: Ahead | undefined;
  #scope: Scope | undefined;
  #matches: Matches | undefined;
  #last: { readonly event: RecordedEvent | undefined; readonly after: Position; readonly next: Position } | undefined;

  constructor(parts: PagesParts) {
    this.#parts = parts;
  }

  /** As `ReadPage` wants it. One at a time, with one scope. */
  async read(after: Position, limit: number, scope: Scope): Promise<Page> {
    // What is in memory is there at once, and some databases answer at once: timers and other segments get their turn.
    await new Promise(setImmediate);
    const page =
      (await this.#fromAhead(after)) ??
      (await this.#fromRing(after, limit, scope)) ??
      (await this.#fromLog(after, limit, scope));
    const given = this.#cut(page, limit);
    this.#last = { event: given.events[0], after, next: given.next };
    return given;
  }

  /** Whether the ring shows that nothing for this segment stands between `after` and the head. */
  async isQuiet(after: Position): Promise<boolean> {
    if (this.#scope === undefined || this.#ahead !== undefined) return false;
    const { head } = this.#parts.tail;
    const page = await this.#fromRing(after, 1, this.#scope);
    return page !== undefined && page.events.length === 0 && head !== undefined && page.next >= head;
  }

  /** When the first event after the checkpoint was recorded, where that is known. */
  recordedAfter(checkpoint: Position): Date | undefined {
    const last = this.#last;
    return last !== undefined && last.after >= checkpoint && last.next > checkpoint
      ? last.event?.recordedAt
      : undefined;
  }

  async #fromAhead(after: Position): Promise<Page | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    return ahead?.after === after ? ahead.page : undefined;
  }

  async #fromRing(after: Position, limit: number, scope: Scope): Promise<Page | undefined> {
    const { tail } = this.#parts;
    if (!tail.isShared) return undefined;
    if (this.#matches === undefined || this.#scope !== scope) {
      this.#scope = scope;
      this.#matches = matcherOf(scope);
    }
    return tail.ring.page(after, limit, this.#matches);
  }

  async #fromLog(after: Position, limit: number, scope: Scope): Promise<Page> {
    const { tail, fetchSize, prefetch } = this.#parts;
    const page = await tail.log.readAll({ after, limit, scope });
    if (prefetch && limit >= fetchSize && page.events.length >= limit) this.#readAhead(tail.log, page.next, scope);
    return page;
  }

  #readAhead(log: EventSource, after: Position, scope: Scope): void {
    // What cannot be read ahead is read again when it is wanted, and fails then.
    const page = log.readAll({ after, limit: this.#parts.fetchSize, scope }).catch(() => undefined);
    this.#ahead = { after, page };
  }

  /** Hands out no more than was asked for, and keeps the rest: a handler may change what it was given, but not that. */
  #cut(page: Page, limit: number): Page {
    const last = page.events[limit - 1];
    if (last === undefined || page.events.length === limit) return page;
    const rest: Page = { events: page.events.slice(limit), next: page.next };
    this.#ahead = { after: last.position, page: Promise.resolve(rest) };
    return { events: page.events.slice(0, limit), next: last.position };
  }
}
