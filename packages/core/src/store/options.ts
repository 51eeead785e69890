import type { Serializer } from "../codec.ts";
import { TidemarkError } from "../errors.ts";
import { createFlakeGenerator, type FlakeGenerator } from "../values/flake.ts";

/** Concurrent appends of one store share transactions. */
export interface GroupCommitOptions {
  /** Appends in one transaction at most. */
  readonly maxAppends?: number | undefined;
  /** Events in one transaction at most, unless one append has more. */
  readonly maxEvents?: number | undefined;
  /** Bytes of data and metadata in one transaction at most, unless one append has more. */
  readonly maxBytes?: number | undefined;
  /** Transactions under way at once. 1 keeps concurrent appends to one aggregate in call order. */
  readonly inFlight?: number | undefined;
  /** Appends to aggregates that another transaction has locked, waiting at once, each on a connection of its own. */
  readonly sideLanes?: number | undefined;
  /** Appends waiting in this process at most; the next one is refused with OVERLOADED. */
  readonly maxQueued?: number | undefined;
}

/** How often, and how fast, what failed for a transient reason is tried again. */
export interface RetryOptions {
  /** Tries in all; 1 means none again. */
  readonly attempts?: number | undefined;
  readonly minDelayMs?: number | undefined;
  readonly maxDelayMs?: number | undefined;
}

/** How often the log is asked for news while nothing has signalled any. */
export interface PollOptions {
  readonly minMs?: number | undefined;
  readonly maxMs?: number | undefined;
}

export interface StoreOptions {
  /** `"migrate"` brings the schema up to date at start, `"check"` refuses another one. Default `"migrate"`. */
  readonly schema?: "migrate" | "check" | undefined;
  readonly serializer?: Serializer | undefined;
  readonly groupCommit?: GroupCommitOptions | undefined;
  readonly retry?: RetryOptions | undefined;
  readonly poll?: PollOptions | undefined;
  /** A transaction of `transaction` or of a consumer's batch is rolled back after this many milliseconds. */
  readonly maxTransactionMs?: number | undefined;
  /** Mints event ids. Default: flake ids. */
  readonly ids?: FlakeGenerator | undefined;
}

type Complete<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> };

export interface ResolvedStoreOptions {
  readonly schema: "migrate" | "check";
  readonly serializer: Serializer | undefined;
  readonly groupCommit: Complete<GroupCommitOptions>;
  readonly retry: Complete<RetryOptions>;
  readonly poll: Complete<PollOptions>;
  readonly maxTransactionMs: number;
  readonly ids: FlakeGenerator;
}

export function resolveStoreOptions(options: StoreOptions): ResolvedStoreOptions {
  const { groupCommit = {}, retry = {}, poll = {} } = options;
  const schema = options.schema ?? "migrate";
  if (schema !== "migrate" && schema !== "check") {
    throw new TidemarkError("INVALID_ARGUMENT", `schema is "migrate" or "check", got ${JSON.stringify(schema)}.`, {
      argument: "schema",
    });
  }
  const resolved = {
    schema,
    serializer: options.serializer,
    groupCommit: {
      maxAppends: positive("groupCommit.maxAppends", groupCommit.maxAppends ?? 256),
      maxEvents: positive("groupCommit.maxEvents", groupCommit.maxEvents ?? 2_000),
      maxBytes: positive("groupCommit.maxBytes", groupCommit.maxBytes ?? 4 * 1024 * 1024),
      inFlight: positive("groupCommit.inFlight", groupCommit.inFlight ?? 1),
      sideLanes: positive("groupCommit.sideLanes", groupCommit.sideLanes ?? 4),
      maxQueued: positive("groupCommit.maxQueued", groupCommit.maxQueued ?? 10_000),
    },
    retry: resolveRetry("retry", retry, { attempts: 5, minDelayMs: 10, maxDelayMs: 1_000 }),
    poll: resolvePoll(poll, { minMs: 5, maxMs: 500 }),
    maxTransactionMs: positive("maxTransactionMs", options.maxTransactionMs ?? 60_000),
    ids: options.ids ?? createFlakeGenerator(),
  } satisfies ResolvedStoreOptions;
  return Object.freeze(resolved);
}

export function resolvePoll(given: PollOptions = {}, defaults: Complete<PollOptions>): Complete<PollOptions> {
  return {
    minMs: positive("poll.minMs", given.minMs ?? defaults.minMs),
    maxMs: positive("poll.maxMs", given.maxMs ?? defaults.maxMs),
  };
}

export function resolveRetry(
  name: string,
  given: RetryOptions,
  defaults: Complete<RetryOptions>,
): Complete<RetryOptions> {
  return {
    attempts: positive(`${name}.attempts`, given.attempts ?? defaults.attempts),
    minDelayMs: positive(`${name}.minDelayMs`, given.minDelayMs ?? defaults.minDelayMs),
    maxDelayMs: positive(`${name}.maxDelayMs`, given.maxDelayMs ?? defaults.maxDelayMs),
  };
}

/** Refuses what is not a whole number from 1 to 2^31 - 1, the longest that a timer can wait in milliseconds. */
export function positive(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 0x7fff_ffff) return value;
  throw new TidemarkError("INVALID_ARGUMENT", `${name} is a whole number from 1 to 2147483647, got ${String(value)}.`, {
    argument: name,
  });
}
