import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import {
  type AnyConsumer,
  type ConsumerKey,
  defineConsumer,
  type EventSource,
  type Executor,
  LIMITS,
  type Observe,
  type Observer,
  type Projector,
  type SagaConsumer,
  type Store,
  TidemarkError,
} from "@tidemark/core";
import type { Logger } from "./logger.ts";

/** A consumer with what is particular about running it. */
export interface WorkerConsumer<Tx> {
  readonly consumer: AnyConsumer<Tx>;
  /** Where its events are. Default: the worker's store, which holds its checkpoint. */
  readonly log?: EventSource | undefined;
  /** Runs an observer's handlers. Default: at once, in this process. */
  readonly executor?: Executor | undefined;
  /** Default: the worker's. */
  readonly fetchSize?: number | undefined;
}

export interface WorkerOptions<Tx> {
  /** What the worker runs. Every process of a business may run all of them, or each some. */
  readonly consumers: readonly (AnyConsumer<Tx> | WorkerConsumer<Tx>)[];
  /** Tells this worker from all others: unique. Default: host, process and a random part. */
  readonly name?: string | undefined;
  /** How long a segment stays ours without a sign of life. Default 30 000. */
  readonly leaseMs?: number | undefined;
  /** How long others count on us without a sign of life, of which three are given in this time. Default 10 000. */
  readonly memberLeaseMs?: number | undefined;
  readonly poll?: WorkerPoll | undefined;
  /** Segments of one projector that are at work at once in this process; the others wait their turn. Default 4. */
  readonly concurrency?: number | undefined;
  /** Events that are read at once, at most, and of one transaction of a projector or saga. Default 500. */
  readonly fetchSize?: number | undefined;
  /** Whether the next page is read while a batch is handled. Default true. */
  readonly prefetch?: boolean | undefined;
  /** Recent events of each log that the segments of this process share, at most. 0: each reads its own. Default 5 000. */
  readonly ringEvents?: number | undefined;
  /** After how long a segment that stopped at an error is tried again; the pause doubles up to the longest. */
  readonly retry?: WorkerRetry | undefined;
  /** How long handlers get to finish when the worker stops. What takes longer is cut off from its zone. Default 30 000. */
  readonly drainMs?: number | undefined;
  /** `status` calls a segment behind when its next event is this old. Default 30 000. */
  readonly behindMs?: number | undefined;
  /** `status` calls a segment stuck that has events and has not moved for this long. Default 120 000. */
  readonly stuckMs?: number | undefined;
  /** Where the worker says what it does. Default: nowhere. */
  readonly logger?: Logger | undefined;
  /** Called once for each event that a consumer is through with. */
  readonly observe?: Observe | undefined;
  /** Whether `@opentelemetry/api` is used where it is installed. Default true. */
  readonly telemetry?: boolean | undefined;
}

/** How often the database is asked for news. */
export interface WorkerPoll {
  /** While there is news. Default 10. */
  readonly minMs?: number | undefined;
  /** While there is none; also how soon what another process asks for is seen. Default 1 000. */
  readonly maxMs?: number | undefined;
}

export interface WorkerRetry {
  /** Default 1 000. */
  readonly minDelayMs?: number | undefined;
  /** Default 60 000. */
  readonly maxDelayMs?: number | undefined;
}

export type Defined<Tx> = Projector<Tx> | Observer | SagaConsumer<Tx>;

export interface ResolvedConsumer<Tx> {
  readonly consumer: Defined<Tx>;
  readonly log: EventSource;
  readonly executor: Executor | undefined;
  readonly fetchSize: number;
}

type Complete<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

export interface ResolvedOptions<Tx> {
  readonly consumers: readonly ResolvedConsumer<Tx>[];
  readonly name: string;
  readonly leaseMs: number;
  readonly memberLeaseMs: number;
  readonly poll: Complete<WorkerPoll>;
  readonly concurrency: number;
  readonly prefetch: boolean;
  readonly ringEvents: number;
  readonly retry: Complete<WorkerRetry>;
  readonly drainMs: number;
  readonly behindMs: number;
  readonly stuckMs: number;
  readonly logger: Logger | undefined;
  readonly observe: Observe | undefined;
  readonly telemetry: boolean;
}

/** Checks everything once. Throws INVALID_ARGUMENT or LIMIT_EXCEEDED. */
export function resolveOptions<Tx>(store: Store<Tx>, options: WorkerOptions<Tx>): ResolvedOptions<Tx> {
  const { poll = {}, retry = {} } = options;
  const fetchSize = checkFetchSize("fetchSize", options.fetchSize ?? 500);
  const resolved: ResolvedOptions<Tx> = {
    consumers: resolveConsumers(store, options.consumers, fetchSize),
    name: checkName(options.name ?? `${hostname().slice(0, 60)}:${process.pid}:${randomUUID().slice(0, 8)}`),
    leaseMs: whole("leaseMs", options.leaseMs ?? 30_000),
    memberLeaseMs: whole("memberLeaseMs", options.memberLeaseMs ?? 10_000),
    poll: {
      minMs: whole("poll.minMs", poll.minMs ?? 10),
      maxMs: whole("poll.maxMs", poll.maxMs ?? 1_000),
    },
    concurrency: whole("concurrency", options.concurrency ?? 4),
    prefetch: options.prefetch ?? true,
    ringEvents: whole("ringEvents", options.ringEvents ?? 5_000, 0),
    retry: {
      minDelayMs: whole("retry.minDelayMs", retry.minDelayMs ?? 1_000),
      maxDelayMs: whole("retry.maxDelayMs", retry.maxDelayMs ?? 60_000),
    },
    drainMs: whole("drainMs", options.drainMs ?? 30_000),
    behindMs: whole("behindMs", options.behindMs ?? 30_000),
    stuckMs: whole("stuckMs", options.stuckMs ?? 120_000),
    logger: options.logger,
    observe: options.observe,
    telemetry: options.telemetry ?? true,
  };
  return Object.freeze(resolved);
}

/** One string for each consumer: for maps in memory. */
export function keyOf({ name, version }: ConsumerKey): string {
  return `${version}:${name}`;
}

/** For messages. */
export function labelOf({ name, version }: ConsumerKey): string {
  return version === 1 ? name : `${name} (version ${version})`;
}

export function invalid(argument: string, message: string): TidemarkError<"INVALID_ARGUMENT"> {
  return new TidemarkError("INVALID_ARGUMENT", message, { argument });
}

function resolveConsumers<Tx>(
  store: Store<Tx>,
  given: WorkerOptions<Tx>["consumers"],
  fetchSize: number,
): readonly ResolvedConsumer<Tx>[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw invalid("consumers", "A worker runs at least one consumer: { consumers: [defineProjector({ … })] }.");
  }
  const known = new Set<string>();
  return given.map((one: AnyConsumer<Tx> | WorkerConsumer<Tx>, index) => {
    const about: WorkerConsumer<Tx> = "consumer" in one ? one : { consumer: one };
    const consumer = defineConsumer(about.consumer);
    const key = keyOf(consumer.key);
    if (known.has(key)) throw invalid("consumers", `${labelOf(consumer.key)} is there twice. A worker runs it once.`);
    known.add(key);
    if (about.executor !== undefined && consumer.kind !== "observer") {
      throw invalid(`consumers[${index}].executor`, `An executor runs observers; ${labelOf(consumer.key)} is none.`);
    }
    const { log = store, executor } = about;
    const size = checkFetchSize(`consumers[${index}].fetchSize`, about.fetchSize ?? fetchSize);
    return Object.freeze({ consumer, log, executor, fetchSize: size });
  });
}

function checkName(name: string): string {
  if (typeof name !== "string" || name === "" || name.includes("\0")) {
    throw invalid("name", "A worker's name is a text that no other worker has.");
  }
  const bytes = Buffer.byteLength(name);
  const allowed = LIMITS.consumerNameBytes;
  if (bytes <= allowed) return name;
  throw new TidemarkError("LIMIT_EXCEEDED", `The worker's name has ${bytes} bytes; allowed are ${allowed}.`, {
    limit: "consumerNameBytes",
    allowed,
    actual: bytes,
  });
}

function checkFetchSize(name: string, value: number): number {
  if (whole(name, value) <= LIMITS.eventsPerPage) return value;
  throw invalid(name, `${name} is at most ${LIMITS.eventsPerPage}, got ${value}.`);
}

/** Up to the longest that a timer can wait in milliseconds. */
function whole(name: string, value: number, least = 1): number {
  if (Number.isInteger(value) && value >= least && value <= 0x7fff_ffff) return value;
  throw invalid(name, `${name} is a whole number from ${least} to 2147483647, got ${String(value)}.`);
}
