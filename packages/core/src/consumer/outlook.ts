import type { RecordedEvent, Scope } from "../event.ts";
import type { EventSource, Page, Store } from "../store/store.ts";
import { bucketOf, segmentOf } from "../values/aggregate.ts";
import type { Position } from "../values/position.ts";
import type { ConsumerSight } from "./consumers.ts";
import type { DefinedConsumer } from "./definition.ts";
import type { Zone } from "./zone.ts";

/** Where a cycle's events come from, when not by `readAll` of its log: pages that somebody has read ahead, or shares. */
export type ReadPage = (request: {
  readonly after: Position;
  readonly limit: number;
  readonly scope: Scope;
  readonly signal: AbortSignal;
}) => Promise<Page>;

export interface OutlookParts<Tx> {
  readonly store: Store<Tx>;
  readonly log: EventSource;
  readonly zone: Zone<Tx>;
  readonly until: Position | undefined;
  readonly live: boolean | ((position: Position) => boolean) | undefined;
  readonly read: ReadPage | undefined;
  readonly look: (() => Promise<ConsumerSight | undefined>) | undefined;
}

/**
 * What a cycle learns, by one query, before each of its turns, and what follows from it: whether it may go on, how far,
 * with which events, and whether its handlers are live.
 */
export class Outlook<Tx> {
  readonly #parts: OutlookParts<Tx>;
  readonly #look: () => Promise<ConsumerSight | undefined>;
  readonly #live: ((position: Position) => boolean) | boolean | undefined;
  #sight: ConsumerSight | undefined;
  /** What the consumer gets of the log: its scope, within the zone's segment. */
  readonly scope: Scope;

  constructor(
    consumer: Pick<DefinedConsumer, "key" | "scope"> & { readonly saga?: string | undefined },
    parts: OutlookParts<Tx>,
  ) {
    const { zone, store } = parts;
    this.#parts = parts;
    this.#live = parts.live;
    this.#look = parts.look ?? (async () => (await store.consumers.look([consumer]))[0]);
    this.scope =
      zone.segments === 1 ? consumer.scope : { ...consumer.scope, segment: { index: zone.segment, of: zone.segments } };
  }

  async renew(): Promise<void> {
    this.#sight = await this.#look();
  }

  get enabled(): boolean {
    return this.#parts.zone.enabled && this.#sight?.enabled !== false;
  }

  /** Whether something is asked for dead letters of this segment. */
  get requested(): boolean {
    return this.#sight?.requested.some((bucket) => this.#isOfSegment(bucket)) ?? false;
  }

  /** Whether a deadline of its sagas is due. */
  get due(): boolean {
    return (this.#sight?.dueInMs ?? 1) <= 0;
  }

  /** The position to stop at exactly, because the caller says so or because another layout was asked for. */
  get until(): Position | undefined {
    const { until, zone } = this.#parts;
    const drain = this.#sight?.generation === zone.generation ? this.#sight.layout?.position : undefined;
    if (until === undefined || drain === undefined) return until ?? drain;
    return until < drain ? until : drain;
  }

  isReached(position: Position): boolean {
    const { until } = this;
    return until !== undefined && position >= until;
  }

  /** Where the caller does not say: whether this version is the active one. */
  isLive(position: Position): boolean {
    if (typeof this.#live === "function") return this.#live(position);
    return this.#live ?? this.#sight?.active !== false;
  }

  isOfSegment(event: RecordedEvent): boolean {
    const { segments } = this.#parts.zone;
    return segments === 1 || this.#isOfSegment(bucketOf(event.aggregate));
  }

  /** The next page up to where it has to stop; all of its events are live, or none. */
  async page(after: Position, limit: number, signal: AbortSignal): Promise<Page> {
    const { log, read } = this.#parts;
    const { scope } = this;
    const page = await (read === undefined
      ? log.readAll({ after, limit, scope })
      : read({ after, limit, scope, signal }));
    return this.#sameLife(upTo(this.until, atMost(limit, page)));
  }

  #isOfSegment(bucket: number): boolean {
    const { segment, segments } = this.#parts.zone;
    return segmentOf(bucket, segments) === segment;
  }

  #sameLife(page: Page): Page {
    if (typeof this.#live !== "function") return page;
    const [first] = page.events;
    if (first === undefined) return page;
    const live = this.#live(first.position);
    const change = page.events.findIndex((event) => this.isLive(event.position) !== live);
    return change === -1 ? page : atMost(change, page);
  }
}

function atMost(limit: number, page: Page): Page {
  const last = page.events[limit - 1];
  if (last === undefined || page.events.length <= limit) return page;
  return { events: page.events.slice(0, limit), next: last.position };
}

/** A page that goes past `until` has everything up to it. */
function upTo(until: Position | undefined, page: Page): Page {
  if (until === undefined || page.next <= until) return page;
  return { events: page.events.filter((event) => event.position <= until), next: until };
}
