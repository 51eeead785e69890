import type { ConsumerKind, Position } from "@tidemark/core";
import type { ConsumerRun } from "./consumer-run.ts";
import { keyOf } from "./options.ts";
import type { SegmentRun } from "./segment-run.ts";
import { shareOf } from "./shares.ts";

/**
 * What a segment does. Of segments in this worker's hands: `running`; `behind`: its next event is older than `behindMs`;
 * `stuck`: it has events and has not moved for longer than `stuckMs`; `stopped`: at an error, tried again by itself and
 * when somebody changes something about the consumer; `rebuilding`: of a version that is not active; `resegmenting`: on
 * its way to where all segments stop before their number changes.
 * Of others: `paused`, because the consumer is disabled; `elsewhere`: another worker has it; `free`: nobody has it.
 */
export type SegmentState =
  | "running"
  | "behind"
  | "stuck"
  | "stopped"
  | "rebuilding"
  | "resegmenting"
  | "paused"
  | "elsewhere"
  | "free";

export interface SegmentStatus {
  readonly segment: number;
  readonly state: SegmentState;
  /** Whether this worker has it. */
  readonly held: boolean;
  /** Who has it, as of the last look. */
  readonly owner: string | undefined;
  readonly position: Position | undefined;
  /** How far the head is past the position: at least the number of events to come. */
  readonly lag: bigint | undefined;
  /** How long ago the next event was recorded, at least. Undefined for segments of others that are behind. */
  readonly lagSeconds: number | undefined;
  /** Why it is stopped, or what was recorded last since its last success. */
  readonly error: string | undefined;
  /** When a stopped segment is tried again, in milliseconds from now. */
  readonly retryInMs: number | undefined;
}

export interface ConsumerStatus {
  readonly name: string;
  readonly version: number;
  readonly kind: ConsumerKind;
  /** Whether it is the version in force. */
  readonly active: boolean;
  /** The worst that is said of its segments in this worker's hands; `idle` when it has none, `deleted` when it is gone. */
  readonly state: Exclude<SegmentState, "elsewhere" | "free"> | "idle" | "deleted";
  /** How many segments this worker is to hold. */
  readonly share: number;
  /** The workers that run it, this one among them. */
  readonly members: readonly string[];
  readonly segments: readonly SegmentStatus[];
  /** How far a version that is not active has come on the way to the one that is. */
  readonly rebuild: { readonly version: number; readonly remaining: bigint; readonly done: number } | undefined;
}

export interface LogStatus {
  readonly logId: string;
  /** Undefined until it was read for the first time. */
  readonly head: Position | undefined;
  /** For how long it has stood still, as far as this worker knows. */
  readonly headAgeMs: number;
  /** Events that the segments of this worker share. */
  readonly ringEvents: number;
}

/** `new` until `run` is called, `ended` when it has resolved. */
export type Phase = "new" | "starting" | "running" | "draining" | "ended";

export interface WorkerStatus {
  readonly name: string;
  readonly phase: Phase;
  /** For liveness probes: false when nothing goes on in the worker any more, so that only a new process helps. */
  readonly live: boolean;
  /** For readiness probes: it runs, and the database has answered lately. */
  readonly ready: boolean;
  /** Whether none of its segments is stopped at an error or stuck. */
  readonly healthy: boolean;
  readonly consumers: readonly ConsumerStatus[];
  readonly logs: readonly LogStatus[];
}

export interface Thresholds {
  readonly name: string;
  readonly behindMs: number;
  readonly stuckMs: number;
}

export function consumerStatus<Tx>(run: ConsumerRun<Tx>, thresholds: Thresholds): ConsumerStatus {
  const { given, members } = run;
  const { key, kind } = given.consumer;
  const state = run.sight?.state;
  const isLocal = state?.kind !== undefined;
  const segments = isLocal ? segmentStatuses(run, thresholds) : [];
  return {
    name: key.name,
    version: key.version,
    kind,
    active: state?.active ?? false,
    state: run.sight !== undefined && !isLocal ? "deleted" : worst(segments, state?.enabled ?? true),
    share: state?.enabled === true ? shareOf(keyOf(key), segments.length, members, thresholds.name) : 0,
    members,
    segments,
    rebuild: rebuildStatus(run, segments),
  };
}

const ORDER: readonly SegmentState[] = [
  "stopped",
  "stuck",
  "behind",
  "resegmenting",
  "rebuilding",
  "paused",
  "running",
];

function worst(segments: readonly SegmentStatus[], enabled: boolean): ConsumerStatus["state"] {
  if (!enabled) return "paused";
  const states = new Set(segments.flatMap(({ held, state }) => (held ? [state] : [])));
  const found = ORDER.find((state) => states.has(state));
  return found === undefined || found === "elsewhere" || found === "free" ? "idle" : found;
}

function segmentStatuses<Tx>(run: ConsumerRun<Tx>, thresholds: Thresholds): readonly SegmentStatus[] {
  const { tail, runs, sight } = run;
  const state = sight?.state;
  return (state?.segments ?? []).map((row): SegmentStatus => {
    const held = runs.get(row.segment);
    const position = held?.position ?? row.position;
    const { head } = tail;
    const lag = head === undefined || position === undefined ? undefined : head > position ? head - position : 0n;
    const lagSeconds = lag === 0n ? 0 : held === undefined ? undefined : secondsBehind(held);
    const about = {
      segment: row.segment,
      owner: held === undefined ? row.owner : thresholds.name,
      position,
      lag,
      lagSeconds,
    };
    const error = row.error?.text;
    if (held === undefined) {
      const elsewhere = row.owner === undefined ? "free" : "elsewhere";
      const isPaused = state?.enabled === false;
      return { ...about, held: false, state: isPaused ? "paused" : elsewhere, error, retryInMs: undefined };
    }
    const { mode } = held;
    if (mode.kind === "stopped") {
      const retryInMs = Math.max(0, mode.retryAt - performance.now());
      return { ...about, held: true, state: "stopped", error: error ?? nameOf(mode.error), retryInMs };
    }
    return { ...about, held: true, state: stateOf(run, held, lagSeconds, thresholds), error, retryInMs: undefined };
  });
}

function stateOf<Tx>(
  run: ConsumerRun<Tx>,
  held: SegmentRun<Tx>,
  lagSeconds: number | undefined,
  { behindMs, stuckMs }: Thresholds,
): SegmentState {
  const state = run.sight?.state;
  if (state?.enabled === false) return "paused";
  if (held.isBehind && performance.now() - held.movedAt > stuckMs) return "stuck";
  if (state?.layout !== undefined) return "resegmenting";
  if (state?.active === false) return "rebuilding";
  return (lagSeconds ?? 0) * 1_000 > behindMs ? "behind" : "running";
}

function secondsBehind<Tx>(held: SegmentRun<Tx>): number {
  const recordedAt = held.nextRecordedAt;
  const ms = recordedAt === undefined ? performance.now() - held.movedAt : Date.now() - recordedAt.getTime();
  return Math.max(0, ms / 1_000);
}

function rebuildStatus<Tx>(run: ConsumerRun<Tx>, segments: readonly SegmentStatus[]): ConsumerStatus["rebuild"] {
  const { active, sight } = run;
  if (active === undefined || sight?.state?.active !== false) return undefined;
  const goal = active.segments.reduce((sum, { position }) => sum + (position ?? 0n), 0n);
  const got = segments.reduce((sum, { position }) => sum + (position ?? 0n), 0n);
  // With another number of segments the sums are compared as if each version had but one.
  const remaining = goal / BigInt(Math.max(1, active.segments.length)) - got / BigInt(Math.max(1, segments.length));
  const whole = goal / BigInt(Math.max(1, active.segments.length));
  const done = whole === 0n ? 1 : Number(((whole - remaining) * 10_000n) / whole) / 10_000;
  return { version: active.version, remaining: remaining > 0n ? remaining : 0n, done: Math.min(1, done) };
}

/** Until the recorded error has been looked at. */
function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : "Thrown";
}
