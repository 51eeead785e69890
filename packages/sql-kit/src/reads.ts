import { type Position, START } from "@tidemark/core";
import type { LogQuery, StoredEvent } from "@tidemark/core/spi";

/** No aggregate has a version above this. */
export const NO_VERSION = 0x7fff_ffff;

/**
 * The highest position that was told as the head. A transaction registers with a mark that it has read a moment before,
 * so that the frontier may go back until it ends. What was told stays true, and is what readers are told again.
 */
export class Told {
  #highest: Position = START;

  /** Where a reader goes on after a page. `size`: of its events, in bytes; `head`: of the log as the page has seen it. */
  next({ after, limit, bytes }: LogQuery, events: readonly StoredEvent[], size: number, head: Position): Position {
    const last = events.at(-1);
    // Full: there may be more, so the reader goes on from here.
    if (last !== undefined && (events.length === limit || size >= bytes)) return last.position;
    // A reader that went back would get events again.
    if (head < after) return after;
    if (head > this.#highest) this.#highest = head;
    return head;
  }

  /** `head`: as it is now; `eventsAt`: how many events there are at a position. */
  async head(head: Position, eventsAt: (position: Position) => Promise<number>): Promise<Position> {
    if (head >= this.#highest || (await eventsAt(this.#highest)) === 0) {
      // Where the event is gone, so is the log that was: somebody has emptied it.
      this.#highest = head;
    }
    return this.#highest;
  }
}
