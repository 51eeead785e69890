import { type Position, toPosition } from "@tidemark/core";
import type {
  ConsumerKind,
  ConsumerRow,
  DeadlineRow,
  ErrorState,
  FrontierHolderRow,
  KnownEvent,
  LetterRequest,
  LetterRow,
  SagaRow,
  SegmentRow,
  SegmentState,
  SnapshotLink,
  SnapshotRow,
  StoredEvent,
} from "@tidemark/core/spi";

/*
 * Rows as the statements of all SQL adapters name their columns. Whole numbers arrive as numbers, which positions,
 * tokens and times fit into; truth as a boolean or as 0 and 1; times in milliseconds since 1970; lists as JSON text.
 */

type Truth = boolean | number;

interface EventColumns {
  readonly position: number;
  readonly context: string;
  readonly aggregate_type: string;
  readonly aggregate_id: string;
  readonly version: number;
  readonly bucket: number;
  readonly event_id: string;
  readonly event_type: string;
  readonly data: string;
  readonly metadata: string;
  readonly occurred_on: number;
  readonly recorded_at: number;
}

export function decodeEvent(row: unknown): StoredEvent {
  const columns = row as EventColumns;
  return {
    id: columns.event_id,
    type: columns.event_type,
    data: columns.data,
    metadata: columns.metadata,
    occurredOn: columns.occurred_on,
    position: toPosition(columns.position),
    ref: { context: columns.context, type: columns.aggregate_type, id: columns.aggregate_id },
    version: columns.version,
    bucket: columns.bucket,
    recordedAt: columns.recorded_at,
  };
}

export function decodeKnown(row: unknown): KnownEvent {
  const { type, data, version, position } = row as Omit<KnownEvent, "position"> & { readonly position: number };
  return { type, data, version, position: toPosition(position) };
}

/** The one number of a row, which `sql` has yielded. */
export function decodeNumber(row: unknown, sql: string): number {
  const value: unknown = typeof row === "object" && row !== null ? Object.values(row)[0] : undefined;
  if (typeof value !== "number") throw new TypeError(`A number was expected of: ${sql}`);
  return value;
}

interface HolderColumns {
  readonly position: number;
  readonly since: number | null;
  readonly session: string | number | null;
  /** Where the database knows of it. */
  readonly application?: string | null;
}

export function decodeHolder(row: unknown): FrontierHolderRow {
  const { position, since, session, application } = row as HolderColumns;
  return {
    position: toPosition(position),
    since: since ?? undefined,
    // One that is about to end may be listed without anything that tells who it is.
    session: String(session ?? "unknown"),
    application: application ?? undefined,
  };
}

/** The one column `position` of a row; undefined for null. */
export function decodePosition(position: number | null): Position | undefined {
  return position === null ? undefined : toPosition(position);
}

interface ConsumerColumns {
  readonly name: string;
  readonly version: number;
  readonly kind: ConsumerKind | null;
  readonly enabled: Truth;
  readonly active: Truth;
  readonly generation: number;
  readonly layout_segments: number | null;
  readonly layout_position: number | null;
  readonly start_rule: string | null;
  readonly log_id: string | null;
}

/** A consumer without its segments, which have a table of their own. */
export function decodeConsumer(row: unknown): Omit<ConsumerRow, "segments"> {
  const columns = row as ConsumerColumns;
  const { name, version, kind, enabled, active, generation, start_rule, log_id } = columns;
  return {
    key: { name, version },
    kind: kind ?? undefined,
    start: start_rule ?? undefined,
    logId: log_id ?? undefined,
    enabled: isTrue(enabled),
    active: isTrue(active),
    generation,
    layout: decodeLayout(columns),
  };
}

function decodeLayout({ layout_segments, layout_position }: ConsumerColumns): ConsumerRow["layout"] {
  const position = decodePosition(layout_position);
  return layout_segments === null || position === undefined ? undefined : { segments: layout_segments, position };
}

interface SegmentColumns {
  readonly segment: number;
  readonly position: number | null;
  readonly committed_at: number | null;
  readonly owner: string | null;
  readonly token: number;
  readonly held: Truth;
  readonly error_since: number | null;
  readonly error_at: number | null;
  readonly error_count: number;
  readonly error_text: string | null;
}

export function decodeSegment(row: unknown): SegmentRow {
  const columns = row as SegmentColumns;
  return {
    segment: columns.segment,
    position: decodePosition(columns.position),
    committedAt: columns.committed_at ?? undefined,
    owner: columns.owner ?? undefined,
    token: BigInt(columns.token),
    held: isTrue(columns.held),
    error: decodeError(columns),
  };
}

function decodeError({ error_since, error_at, error_count, error_text }: SegmentColumns): ErrorState | undefined {
  if (error_since === null || error_at === null) return undefined;
  return { since: error_since, lastAt: error_at, count: error_count, text: error_text ?? "" };
}

/** Undefined where there is no row. */
export function decodeSegmentState(row: unknown): SegmentState | undefined {
  if (row === undefined) return undefined;
  const { position, token } = row as Pick<SegmentColumns, "position" | "token">;
  return { position: decodePosition(position), token: BigInt(token) };
}

interface SagaColumns {
  readonly id: string;
  readonly version: number;
  readonly data: string;
  /** JSON: pairs of property and value. */
  readonly associations: string;
}

export function decodeSaga(row: unknown): SagaRow {
  const { id, version, data, associations } = row as SagaColumns;
  const pairs = JSON.parse(associations) as readonly (readonly [string, string])[];
  return { id, version, associations: pairs.map(([property, value]) => ({ property, value })), data };
}

interface DeadlineColumns {
  readonly saga_id: string;
  readonly name: string;
  readonly due_at: number;
  readonly data: string;
}

export function decodeDeadline(row: unknown): DeadlineRow {
  const { saga_id, name, due_at, data } = row as DeadlineColumns;
  return { sagaId: saga_id, name, dueAt: due_at, data };
}

interface LetterColumns {
  readonly position: number;
  readonly bucket: number;
  readonly event: string;
  readonly cause: string | null;
  readonly attempts: number;
  readonly first_at: number;
  readonly last_at: number;
  readonly request: LetterRequest | null;
  /** JSON: texts. */
  readonly sequences: string;
}

export function decodeLetter(row: unknown): LetterRow {
  const columns = row as LetterColumns;
  return {
    position: toPosition(columns.position),
    bucket: columns.bucket,
    sequences: JSON.parse(columns.sequences) as readonly string[],
    event: columns.event,
    cause: columns.cause ?? undefined,
    attempts: columns.attempts,
    firstAt: columns.first_at,
    lastAt: columns.last_at,
    request: columns.request ?? undefined,
  };
}

export function decodeSequence(row: unknown): string {
  return (row as { readonly sequence: string }).sequence;
}

/** What texts of some databases cannot hold stands for something unreadable already. */
export function storable(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, "\ufffd").replaceAll("\0", "\ufffd");
}

interface LinkColumns {
  readonly vector: string;
  readonly ancestor: string | null;
}

interface SnapshotColumns extends LinkColumns {
  readonly snapshot_id: string;
  readonly version: number;
  readonly last_event_id: string | null;
  readonly last_event_at: number | null;
  readonly state: string;
}

export function decodeSnapshot(row: unknown): SnapshotRow {
  const columns = row as SnapshotColumns;
  return {
    vector: columns.vector,
    snapshotId: columns.snapshot_id,
    version: columns.version,
    ancestor: columns.ancestor ?? undefined,
    lastEventId: columns.last_event_id ?? undefined,
    lastEventAt: columns.last_event_at ?? undefined,
    state: columns.state,
  };
}

export function decodeLink(row: unknown): SnapshotLink {
  const { vector, ancestor } = row as LinkColumns;
  return { vector, ancestor: ancestor ?? undefined };
}

function isTrue(value: Truth): boolean {
  return value === true || value === 1;
}
