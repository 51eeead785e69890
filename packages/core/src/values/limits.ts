/** What is refused as too large before it reaches a database. Sizes are bytes of UTF-8. The same on every adapter. */
export interface Limits {
  readonly contextBytes: number;
  readonly aggregateTypeBytes: number;
  readonly aggregateIdBytes: number;
  readonly eventIdBytes: number;
  readonly eventTypeBytes: number;
  readonly consumerNameBytes: number;
  readonly sagaIdBytes: number;
  /** Property and value of a saga's association, each. */
  readonly associationBytes: number;
  readonly claimKeyBytes: number;
  readonly snapshotIdBytes: number;
  /** A vector clock's text. */
  readonly vectorBytes: number;
  /** An actor's state, as JSON text. Ids of actors are limited as those of aggregates. */
  readonly snapshotBytes: number;
  /** An event pack, as JSON text. */
  readonly packBytes: number;
  readonly eventsPerPack: number;
  /** Data and metadata of one event together, as JSON text. */
  readonly eventBytes: number;
  /** Data and metadata of all events of one `append` or `appendAll`. */
  readonly appendBytes: number;
  /** Events of one `append` or `appendAll`. */
  readonly eventsPerAppend: number;
  /** Aggregates of one `appendAll`. */
  readonly aggregatesPerAppend: number;
  /** Events of one page. */
  readonly eventsPerPage: number;
  /** How deep arrays and objects may be nested in data or metadata. */
  readonly nesting: number;
}

export const LIMITS: Limits = Object.freeze({
  contextBytes: 100,
  aggregateTypeBytes: 100,
  aggregateIdBytes: 400,
  eventIdBytes: 200,
  eventTypeBytes: 200,
  consumerNameBytes: 200,
  sagaIdBytes: 200,
  associationBytes: 4_000,
  claimKeyBytes: 400,
  snapshotIdBytes: 200,
  vectorBytes: 4_000,
  snapshotBytes: 8 * 1024 * 1024,
  packBytes: 64 * 1024 * 1024,
  eventsPerPack: 10_000,
  eventBytes: 8 * 1024 * 1024,
  appendBytes: 64 * 1024 * 1024,
  eventsPerAppend: 10_000,
  aggregatesPerAppend: 1_000,
  eventsPerPage: 10_000,
  nesting: 500,
});
