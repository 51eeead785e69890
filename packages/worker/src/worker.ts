import { isTidemarkError, isTransient, type Store, TidemarkError } from "@tidemark/core";
import { Bell } from "./bell.ts";
import { ConsumerRun } from "./consumer-run.ts";
import { registerGauges } from "./gauges.ts";
import { type Say, sayTo } from "./logger.ts";
import { Lookout } from "./lookout.ts";
import { type ResolvedOptions, resolveOptions, type WorkerOptions } from "./options.ts";
import { consumerStatus, type Phase, type WorkerStatus } from "./status.ts";
import { Tail } from "./tail.ts";
import { createTelemetry, noTelemetry } from "./telemetry.ts";
import { openTelemetry } from "./trace-context.ts";

/** Runs consumers, together with the workers of other processes that run them too. */
export interface Worker {
  /** Unique among all workers of the database. */
  readonly name: string;
  /**
   * Declares the consumers and runs them until the signal fires or {@link drain} is called. Then it finishes what is
   * under way, gives all segments back, and resolves. A database that is away is waited for.
   *
   * Errors, before anything is run: CONSUMER_MISMATCH when a consumer is stored with another kind or number of segments,
   * with the command that changes it; LOG_MISMATCH; those of the store. CLOSED when it was run before.
   */
  run(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Ends {@link run}, and resolves when that has. May be called twice, and before `run`, which then does nothing. */
  drain(): Promise<void>;
  /** What the worker knows just now, without asking the database. */
  status(): WorkerStatus;
}

/** A worker for the consumers of a store. It does nothing until it is run. Throws INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function createWorker<Tx>(store: Store<Tx>, options: WorkerOptions<Tx>): Worker {
  return new ConsumerWorker(store, resolveOptions(store, options));
}

/** What the database did not answer for so long, it does not answer now. */
const READY_WITHIN_POLLS = 5;

class ConsumerWorker<Tx> implements Worker {
  readonly name: string;
  readonly #store: Store<Tx>;
  readonly #options: ResolvedOptions<Tx>;
  readonly #say: Say;
  readonly #bell = new Bell();
  readonly #lookout: Lookout<Tx>;
  readonly #tails: readonly Tail[];
  readonly #consumers: readonly ConsumerRun<Tx>[];
  /** Fires when nothing new may begin. */
  readonly #stop = new AbortController();
  /** Fires when everything was given back. */
  readonly #over = new AbortController();
  #phase: Phase = "new";
  #run: Promise<void> | undefined;
  #turnedAt = performance.now();
  #metAt = Number.NEGATIVE_INFINITY;
  #isMeetingDue = true;

  constructor(store: Store<Tx>, options: ResolvedOptions<Tx>) {
    const { name, logger, poll, ringEvents } = options;
    this.name = name;
    this.#store = store;
    this.#options = options;
    this.#say = sayTo(logger, name);
    this.#lookout = new Lookout<Tx>(store, this.#bell, () => this.#arrange());
    const api = options.telemetry ? openTelemetry() : undefined;
    const telemetryOf = api === undefined ? noTelemetry<Tx> : createTelemetry<Tx>(api, name);
    const tails = new Map<string, Tail>();
    this.#consumers = options.consumers.map((given) => {
      const { log, consumer } = given;
      const pageSize = Math.max(...options.consumers.map(({ fetchSize }) => fetchSize));
      const tail =
        tails.get(log.logId) ?? new Tail({ log, bell: this.#bell, poll, ringEvents, pageSize, say: this.#say });
      tails.set(log.logId, tail);
      return new ConsumerRun<Tx>({
        store,
        given,
        options,
        tail,
        lookout: this.#lookout,
        bell: this.#bell,
        telemetry: telemetryOf(consumer, options.observe),
        say: this.#say,
        onFree: () => this.#meetSoon(),
      });
    });
    this.#tails = [...tails.values()];
  }

  async run({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    if (this.#run !== undefined || this.#phase !== "new") throw ranBefore(this.name);
    if (signal?.aborted === true || this.#stop.signal.aborted) {
      this.#end();
      return;
    }
    const stop = (): void => this.#requestStop();
    signal?.addEventListener("abort", stop, { once: true });
    this.#phase = "starting";
    this.#run = this.#live();
    try {
      await this.#run;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  async drain(): Promise<void> {
    this.#requestStop();
    if (this.#run === undefined) this.#end();
    // What went wrong, `run` has told.
    await this.#run?.catch(() => undefined);
  }

  status(): WorkerStatus {
    const { name, poll, stuckMs } = this.#options;
    const now = performance.now();
    const isUnderWay = this.#phase === "starting" || this.#phase === "running" || this.#phase === "draining";
    const consumers = this.#consumers.map((run) => consumerStatus(run, this.#options));
    const isWell = consumers.every(({ segments }) =>
      segments.every(({ held, state }) => !held || (state !== "stopped" && state !== "stuck")),
    );
    return {
      name,
      phase: this.#phase,
      live: !isUnderWay || now - this.#turnedAt < Math.max(stuckMs, LEAST_LIVE_MS),
      ready: this.#phase === "running" && now - this.#lookout.at < READY_WITHIN_POLLS * poll.maxMs + READY_MS,
      healthy: isWell,
      consumers,
      logs: this.#tails.map(({ log, head, headAgeMs, ring }) => ({
        logId: log.logId,
        head,
        headAgeMs,
        ringEvents: ring.size,
      })),
    };
  }

  async #live(): Promise<void> {
    const api = this.#options.telemetry ? openTelemetry() : undefined;
    const stopGauges = api && registerGauges(api, this.#store, () => this.status());
    try {
      await this.#declare();
      if (this.#stop.signal.aborted) return;
      const following = this.#tails.map((tail) => tail.follow(this.#over.signal));
      this.#phase = "running";
      this.#say("info", "The worker runs.");
      await this.#watch();
      this.#phase = "draining";
      await this.#giveBack();
      this.#over.abort();
      await Promise.all(following);
    } finally {
      this.#over.abort();
      stopGauges?.();
      this.#end();
      this.#say("info", "The worker has ended.");
    }
  }

  /** What is refused now will be refused again; only a database that is away is waited for. */
  async #declare(): Promise<void> {
    for (const consumer of this.#consumers) {
      for (let attempt = 1; ; attempt++) {
        this.#turnedAt = performance.now();
        try {
          await consumer.declare(this.#stop.signal);
          break;
        } catch (error) {
          if (this.#stop.signal.aborted) return;
          if (!isTransient(error)) throw error;
          this.#say("warn", "The database does not answer; trying again.", { error });
          await this.#rest(Math.min(this.#options.retry.maxDelayMs, this.#options.poll.minMs * 2 ** attempt));
        }
      }
    }
  }

  /** Meets the others and looks at the consumers, again and again, until it is to stop. */
  async #watch(): Promise<void> {
    const { poll, memberLeaseMs } = this.#options;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#turnedAt = performance.now();
      try {
        if (this.#isMeetingDue || this.#turnedAt - this.#metAt >= memberLeaseMs / 3) await this.#meet();
        if (performance.now() - this.#lookout.at >= poll.maxMs) await this.#lookout.refresh();
        failures = 0;
      } catch (error) {
        if (isTidemarkError(error, "CLOSED")) return;
        failures += 1;
        if (failures === 1) this.#say("warn", "The database does not answer; trying again.", { error });
        await this.#rest(Math.min(poll.maxMs, poll.minMs * 2 ** failures));
        continue;
      }
      const nextLook = this.#lookout.at + poll.maxMs;
      const nextMeeting = this.#isMeetingDue ? nextLook : this.#metAt + memberLeaseMs / 3;
      await this.#rest(Math.max(1, Math.min(nextLook, nextMeeting) - performance.now()));
    }
  }

  async #meet(): Promise<void> {
    const { name, memberLeaseMs } = this.#options;
    const present = this.#consumers.filter(({ sight }) => sight === undefined || sight.state?.kind !== undefined);
    this.#isMeetingDue = false;
    const at = performance.now();
    if (present.length === 0) {
      this.#metAt = at;
      return;
    }
    const keys = present.map(({ key }) => key);
    const met = await this.#store.members.meet(keys, { member: name, ms: memberLeaseMs });
    this.#metAt = at;
    for (const [index, consumer] of present.entries()) consumer.meet(met[index] ?? [name]);
    if (Number.isFinite(this.#lookout.at)) this.#arrange();
  }

  /** Who was there may be gone. Asked for when segments stay free, at most once in a poll. */
  #meetSoon(): void {
    if (performance.now() - this.#metAt >= this.#options.poll.maxMs) this.#isMeetingDue = true;
  }

  #arrange(): void {
    if (this.#stop.signal.aborted || !Number.isFinite(this.#metAt)) return;
    for (const consumer of this.#consumers) void consumer.arrange();
  }

  async #giveBack(): Promise<void> {
    const { drainMs, name } = this.#options;
    // First of all, so that others know that they may take more.
    const keys = this.#consumers.map(({ key }) => key);
    const leaving = this.#store.members.leave(keys, name).catch(() => undefined);
    await Promise.all(this.#consumers.map((consumer) => consumer.drain(drainMs)));
    await leaving;
  }

  #requestStop(): void {
    this.#stop.abort();
    this.#bell.ring();
  }

  #end(): void {
    this.#phase = "ended";
  }

  /** Ends early when the worker is to stop. Does not wake for news: those are for the segments. */
  #rest(ms: number): Promise<void> {
    const { signal } = this.#stop;
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      if (signal.aborted) finish();
      else signal.addEventListener("abort", finish, { once: true });
    });
  }
}

const LEAST_LIVE_MS = 60_000;
const READY_MS = 2_000;

function ranBefore(name: string): TidemarkError<"CLOSED"> {
  return new TidemarkError("CLOSED", `The worker ${name} was run before. Create another one to run it again.`, {});
}
