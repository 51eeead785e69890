import type { Adapter } from "../adapter/adapter.ts";
import type {
  ConsumerKey,
  ConsumerKind,
  ConsumerRow,
  ErrorState,
  Layout,
  Looked,
  SegmentRow,
} from "../adapter/consumers.ts";
import type { Operation } from "../adapter/operation.ts";
import { TidemarkError } from "../errors.ts";
import { invalid } from "../store/requests.ts";
import type { EventSource } from "../store/store.ts";
import { formatPosition, type Position, START, toPosition } from "../values/position.ts";
import { checkSegments, createLayouts, type Layouts, refuseSegments } from "./layouts.ts";
import { type ConsumerInput, consumerLabel, resolveConsumer } from "./name.ts";
import { refuseOtherLog, unknownConsumer, versionActive } from "./refusals.ts";
import { thrownAsText } from "./thrown.ts";
import { createVersions, type Versions } from "./versions.ts";

/**
 * Where a consumer begins: before the first event of the log; after its last one; after a position that was read
 * before; before the first event that occurred at or after a moment.
 */
export type StartRule = "beginning" | "head" | { readonly position: Position } | { readonly since: Date };

export interface DeclareOptions extends Operation {
  readonly kind: ConsumerKind;
  /** A power of two up to 1024; a saga has one. Default 1. */
  readonly segments?: number | undefined;
  /** Default: `"beginning"` for projectors, `"head"` for observers and sagas. */
  readonly start?: StartRule | undefined;
  /** The log that the consumer reads. Default: the store itself. */
  readonly log?: EventSource | undefined;
}

export interface ConsumerError {
  /** When the first error after the last success was recorded. */
  readonly since: Date;
  readonly lastAt: Date;
  readonly count: number;
  /** Name, message and stack of the last one. */
  readonly text: string;
}

export interface ConsumerSegment {
  readonly segment: number;
  /** Where it goes on from; undefined until the consumer is declared. */
  readonly position: Position | undefined;
  /** When its checkpoint was last committed; undefined until it was. */
  readonly committedAt: Date | undefined;
  /** Who holds the zone; undefined while nobody does. */
  readonly owner: string | undefined;
  /**
   * How far the head of this store's log is past the position; at least the number of events to come, because
   * positions have gaps. Undefined for a consumer of another log, and where the head was not looked at.
   */
  readonly lag: bigint | undefined;
  /** Undefined while healthy. */
  readonly error: ConsumerError | undefined;
}

export interface ConsumerState {
  readonly name: string;
  readonly version: number;
  /** Undefined while it was only disabled or failed and never declared. So are `start` and `logId`. */
  readonly kind: ConsumerKind | undefined;
  readonly start: string | undefined;
  readonly logId: string | undefined;
  readonly enabled: boolean;
  /** Whether this is the version in force: the first one of its name, until another one is promoted. */
  readonly active: boolean;
  /** Raised when the number of segments changes. */
  readonly generation: number;
  /** The number of segments that was asked for, and the position at which all stop before it is written. */
  readonly layout: Layout | undefined;
  /** Ascending. */
  readonly segments: readonly ConsumerSegment[];
}

/** A consumer by its name, or as it was defined: then its sagas' deadlines are looked at too. */
export type LookInput = ConsumerInput | { readonly key: ConsumerKey; readonly saga?: string | undefined };

export interface LookOptions extends Operation {
  /** The head of this store's log, where it is known: segments then tell their lag. */
  readonly head?: Position | undefined;
}

/** All that somebody must know who runs a consumer and has nothing to do just now. */
export interface ConsumerSight extends ConsumerState {
  /** The buckets of dead letters that something is asked for. Distinct, ascending. */
  readonly requested: readonly number[];
  /** How long until the earliest deadline of its sagas is due, by the database's clock; 0 or less when one is. */
  readonly dueInMs: number | undefined;
}

/** The records of consumers: declared once, looked at and operated by anyone. */
export interface Consumers extends Layouts, Versions {
  /**
   * Writes the consumer and all its segments at one start position, unless it is there already; every member of a race
   * gets the winner's. The first version of a name is the active one. Errors: CONSUMER_MISMATCH when it is stored with
   * another kind or number of segments, unless it is on its way to that number; LOG_MISMATCH when its checkpoint belongs
   * to another log.
   */
  declare(consumer: ConsumerInput, options: DeclareOptions): Promise<ConsumerState>;
  /** Undefined for a consumer that is neither declared nor disabled nor failed. */
  get(consumer: ConsumerInput, options?: Operation): Promise<ConsumerState | undefined>;
  /** Several at once, by one query. Item i belongs to consumer i; undefined for one that nothing is known of. */
  look(consumers: readonly LookInput[], options?: LookOptions): Promise<readonly (ConsumerSight | undefined)[]>;
  /** Ascending by name (bytes) and version. */
  list(options?: Operation): AsyncIterable<ConsumerState>;
  /** The committed checkpoint of a segment (default 0); undefined when none was ever committed. */
  checkpoint(
    consumer: ConsumerInput,
    options?: Operation & { readonly segment?: number },
  ): Promise<Position | undefined>;
  /** True unless it was disabled; also for one that nobody knows. */
  isEnabled(consumer: ConsumerInput, options?: Operation): Promise<boolean>;
  /** Lets it run again. Also before it is declared. */
  enable(consumer: ConsumerInput, options?: Operation): Promise<void>;
  /**
   * Stops it before its next event when it runs in this process, before its next batch in another one, until it is
   * enabled again. Also before it is declared.
   */
  disable(consumer: ConsumerInput, options?: Operation): Promise<void>;
  /** Adds to its error state, which its next success clears. */
  recordError(
    consumer: ConsumerInput,
    error: unknown,
    options?: Operation & { readonly segment?: number },
  ): Promise<void>;
  /**
   * Sets all segments to one position, forwards or backwards, and fences whoever held them. Errors: ZONE_HELD while
   * somebody holds one, CONSUMER_UNKNOWN.
   */
  reset(consumer: ConsumerInput, to: StartRule, options?: Operation & { readonly log?: EventSource }): Promise<void>;
  /**
   * Forgets checkpoint, flag and errors. Does nothing for one that is not there. Errors: VERSION_ACTIVE while there are
   * versions beside the active one.
   */
  delete(consumer: ConsumerInput, options?: Operation): Promise<void>;
}

export interface ConsumersParts {
  readonly adapter: Pick<Adapter<never>, "consumers" | "positionBefore" | "head">;
  readonly log: EventSource;
  /** Guards a call as the store guards its own. */
  readonly call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>;
  readonly onEnabled: (key: ConsumerKey, enabled: boolean) => void;
}

const PAGE = 100;

export function createConsumers(parts: ConsumersParts): Consumers {
  const { adapter, log, call } = parts;
  const records = adapter.consumers;

  async function get(consumer: ConsumerInput, op: Operation = {}): Promise<ConsumerState | undefined> {
    const key = resolveConsumer(consumer);
    return call("consumers.get", false, async () => {
      const row = await records.get(key, op);
      return row === undefined ? undefined : toState(row, log.logId, await adapter.head(op));
    });
  }

  async function setEnabled(
    name: string,
    consumer: ConsumerInput,
    enabled: boolean,
    op: Operation = {},
  ): Promise<void> {
    const key = resolveConsumer(consumer);
    await call(name, true, () => {
      parts.onEnabled(key, enabled);
      return records.setEnabled(key, enabled, op);
    });
  }

  async function resolveStart(rule: StartRule, source: EventSource, op: Operation): Promise<Position> {
    if (rule === "beginning") return START;
    if (rule === "head") return source.head(op);
    if (typeof rule === "object" && rule !== null && "position" in rule)
      return checkPosition(rule.position, source, op);
    if (typeof rule === "object" && rule !== null && "since" in rule && rule.since instanceof Date) {
      const time = rule.since.getTime();
      if (!Number.isNaN(time)) return positionBefore(time, source, op);
    }
    throw invalid("start", 'A start is "beginning", "head", { position } or { since: Date }.');
  }

  async function positionBefore(time: number, source: EventSource, op: Operation): Promise<Position> {
    if (source.logId === log.logId) return adapter.positionBefore(time, op);
    let after = START;
    for (;;) {
      const page = await source.readAll({ after, signal: op.signal });
      for (const event of page.events) {
        if (event.occurredOn.getTime() >= time) return after;
        after = event.position;
      }
      if (page.events.length === 0) return page.next;
    }
  }

  return {
    ...createLayouts(parts),
    ...createVersions(parts),
    get,
    look: async (consumers, { head, ...op } = {}) => {
      const looked = consumers.map(toLooked);
      const looks = await call("consumers.look", false, () => records.look(looked, op));
      return looks.map(
        (look) => look && { ...toState(look.row, log.logId, head), requested: look.requested, dueInMs: look.dueInMs },
      );
    },
    declare: async (consumer, options) => {
      const key = resolveConsumer(consumer);
      const { kind, segments = 1, log: source = log } = options;
      checkSegments(segments);
      const start = options.start ?? (kind === "projector" ? "beginning" : "head");
      return call("consumers.declare", true, async () => {
        const known = await records.get(key, options);
        let row = known;
        if (row?.kind === undefined) {
          if (kind === "saga") refuseSegments(kind, segments);
          const position = await resolveStart(start, source, options);
          const declaration = { key, kind, segments, start: formatStart(start), position, logId: source.logId };
          row = await records.declare(declaration, options);
        }
        refuseMismatch(row, kind, segments);
        refuseOtherLog(row, source.logId);
        return toState(row, log.logId, await adapter.head(options));
      });
    },
    list: (op = {}) => listStates(op),
    checkpoint: async (consumer, op = {}) => {
      const key = resolveConsumer(consumer);
      const row = await call("consumers.checkpoint", false, () => records.get(key, op));
      const segment = row?.segments.find((candidate) => candidate.segment === (op.segment ?? 0));
      return segment?.committedAt === undefined ? undefined : segment.position;
    },
    isEnabled: async (consumer, op = {}) => {
      const key = resolveConsumer(consumer);
      return (await call("consumers.isEnabled", false, () => records.get(key, op)))?.enabled ?? true;
    },
    enable: (consumer, op) => setEnabled("consumers.enable", consumer, true, op),
    disable: (consumer, op) => setEnabled("consumers.disable", consumer, false, op),
    recordError: async (consumer, error, op = {}) => {
      const key = resolveConsumer(consumer);
      await call("consumers.recordError", true, async () => {
        const generation = (await records.get(key, op))?.generation ?? 1;
        await records.recordError({ ...key, generation, segment: op.segment ?? 0 }, thrownAsText(error), op);
      });
    },
    reset: async (consumer, to, op = {}) => {
      const key = resolveConsumer(consumer);
      await call("consumers.reset", true, async () => {
        const row = await records.get(key, op);
        if (row?.kind === undefined) throw unknownConsumer(key);
        const source = op.log ?? log;
        refuseOtherLog(row, source.logId);
        const outcome = await records.reset(key, await resolveStart(to, source, op), op);
        if (outcome === "unknown") throw unknownConsumer(key);
        if (outcome === "held") throw zoneHeld(key);
      });
    },
    delete: async (consumer, op = {}) => {
      const key = resolveConsumer(consumer);
      const outcome = await call("consumers.delete", true, () => records.remove(key, op));
      if (outcome === "active") throw versionActive(key);
    },
  };

  async function* listStates(op: Operation): AsyncGenerator<ConsumerState, void, undefined> {
    let after: ConsumerKey | undefined;
    for (;;) {
      const from = after;
      const [rows, head] = await call(
        "consumers.list",
        false,
        async () => [await records.list(from, PAGE, op), await adapter.head(op)] as const,
      );
      for (const row of rows) yield toState(row, log.logId, head);
      if (rows.length < PAGE) return;
      after = rows.at(-1)?.key;
    }
  }
}

/** A position that this log has handed out, or at least one below which no event can still appear. */
async function checkPosition(position: Position, source: EventSource, op: Operation): Promise<Position> {
  if (typeof position !== "bigint")
    throw invalid("position", "A position is a bigint that a page, a result or head() gave.");
  const head = await source.head(op);
  if (position >= 0n && position <= head) return toPosition(position);
  throw invalid(
    "position",
    `Position ${position} is not between 0 and the head ${head}. Use a position that this log gave.`,
  );
}

/** Where another number of segments was asked for, both are right: the code may change before or after the layout. */
function refuseMismatch(row: ConsumerRow, kind: ConsumerKind, segments: number): void {
  const stored = `${row.kind} in ${row.segments.length} segment(s)`;
  const given = `${kind} in ${segments} segment(s)`;
  if (row.kind === kind && (row.segments.length === segments || row.layout?.segments === segments)) return;
  const consumer = consumerLabel(row.key);
  const advice =
    row.kind === kind
      ? `Declare it as it is stored, or change that by consumers.resegment(${JSON.stringify(row.key)}, ${segments}).`
      : "Declare it as it is stored, or use another name or version.";
  throw new TidemarkError(
    "CONSUMER_MISMATCH",
    `${consumer} is stored as ${stored} and was declared as ${given}. ${advice}`,
    { consumer, stored, given },
  );
}

function zoneHeld(key: ConsumerKey): TidemarkError<"ZONE_HELD"> {
  const consumer = consumerLabel(key);
  return new TidemarkError(
    "ZONE_HELD",
    `${consumer} is running: somebody holds its zone. Disable it and wait until it has left, then call again.`,
    { consumer },
  );
}

function formatStart(rule: StartRule): string {
  if (typeof rule === "string") return rule;
  return "position" in rule ? `position ${formatPosition(rule.position)}` : `since ${rule.since.toISOString()}`;
}

function toLooked(input: LookInput): Looked {
  if (typeof input === "string" || !("key" in input)) return { key: resolveConsumer(input), saga: undefined };
  return { key: resolveConsumer(input.key), saga: input.saga };
}

function toState(row: ConsumerRow, logId: string, head: Position | undefined): ConsumerState {
  const { key, kind, start, enabled, active, generation, layout } = row;
  const local = row.logId === logId;
  const segments = row.segments.map((segment) => toSegment(segment, local ? head : undefined));
  return { ...key, kind, start, logId: row.logId, enabled, active, generation, layout, segments };
}

function toSegment(row: SegmentRow, head: Position | undefined): ConsumerSegment {
  const { segment, position, committedAt, held, owner, error } = row;
  return {
    segment,
    position,
    committedAt: committedAt === undefined ? undefined : new Date(committedAt),
    owner: held ? owner : undefined,
    lag: head === undefined || position === undefined ? undefined : head > position ? head - position : 0n,
    error: error === undefined ? undefined : toError(error),
  };
}

function toError(error: ErrorState): ConsumerError {
  return { since: new Date(error.since), lastAt: new Date(error.lastAt), count: error.count, text: error.text };
}
