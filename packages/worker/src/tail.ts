import { type EventSource, isTidemarkError, type Position, START } from "@tidemark/core";
import { sleep } from "@tidemark/core/spi";
import type { Bell } from "./bell.ts";
import type { Say } from "./logger.ts";
import { Ring } from "./ring.ts";

export interface TailParts {
  readonly log: EventSource;
  /** Rung when the log has gone on. */
  readonly bell: Bell;
  readonly poll: { readonly minMs: number; readonly maxMs: number };
  readonly ringEvents: number;
  readonly pageSize: number;
  readonly say: Say;
}

/** The end of a log as a worker sees it: where the head is, and the events just below it. */
export class Tail {
  readonly log: EventSource;
  readonly ring: Ring;
  readonly #parts: TailParts;
  #head: Position | undefined;
  #movedAt = performance.now();
  #readers = 0;

  constructor(parts: TailParts) {
    const { log, ringEvents, pageSize } = parts;
    this.#parts = parts;
    this.log = log;
    this.ring = new Ring({ log, head: () => this.#head, capacity: ringEvents, pageSize });
  }

  /** Undefined until the database has answered for the first time. */
  get head(): Position | undefined {
    return this.#head;
  }

  /** For how long the head has not moved, in milliseconds, as far as this process knows. */
  get headAgeMs(): number {
    return performance.now() - this.#movedAt;
  }

  /** The ring is for several: one alone reads what it needs, and nothing else. */
  get isShared(): boolean {
    return this.#readers > 1;
  }

  /** One more segment that reads this log; call what is returned when it does no more. */
  join(): () => void {
    this.#readers += 1;
    return () => void (this.#readers -= 1);
  }

  /** Follows the head until the signal fires: woken by the log where it can, else by looking. */
  async follow(signal: AbortSignal): Promise<void> {
    const { log, poll, say } = this.#parts;
    for (let failures = 0; !signal.aborted;) {
      try {
        if (this.#head === undefined) this.#moved(await log.head({ signal }));
        this.#moved(await log.wait(this.#head ?? START, { timeoutMs: LONGEST_MS, poll, signal }));
        failures = 0;
        // While there is news all the time, looking takes a rest between.
        await sleep(poll.minMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (failures === 1)
          say("warn", "The head of the log cannot be read; trying again.", { logId: log.logId, error });
        if (isTidemarkError(error, "CLOSED")) return;
        await sleep(Math.min(poll.maxMs, poll.minMs * 2 ** failures), signal).catch(() => undefined);
      }
    }
  }

  #moved(head: Position): void {
    if (this.#head !== undefined && head <= this.#head) return;
    this.#head = head;
    this.#movedAt = performance.now();
    this.#parts.bell.ring();
  }
}

const LONGEST_MS = 3_600_000;
