import type { ConsumerKind } from "../adapter/consumers.ts";
import type { ConsumerStateStore, ConsumerStateStoreOptions, SagaWriteOptions } from "../consumer-state-store.ts";
import { consume, type ConsumeOptions, type ConsumeResult } from "./consume.ts";
import type { AnyConsumer } from "./run-in-zone.ts";
import type { ConsumerError, ConsumerState } from "./consumers.ts";
import type { Handler, HandlerContext, TransactionalContext } from "./definition.ts";
import type { DeadLetter } from "./letters.ts";
import { defineObserver } from "./observer.ts";
import { defineProjector } from "./projector.ts";
import { defineSaga, type FoundSaga, type FreeSagaHandler, type SagaState } from "./saga.ts";
import { keep } from "./work.ts";
import type { Zone } from "./zone.ts";
import { TidemarkError } from "../errors.ts";
import type { RecordedEvent, Scope } from "../event.ts";
import { invalid } from "../store/requests.ts";
import type { Store } from "../store/store.ts";
import { createFlakeGenerator } from "../values/flake.ts";
import type { Position } from "../values/position.ts";

/** How long a claim holds without being completed. */
const CLAIM_MS = 60_000;

/** Every method by the way that consumers go as well: definitions for `consume`, commits of a zone for writes. */
export class StateStore<Tx> implements ConsumerStateStore<Tx> {
  readonly #store: Store<Tx>;
  readonly #options: ConsumerStateStoreOptions;
  readonly #zones = new Map<string, Zone<Tx>>();
  readonly #mintId = createFlakeGenerator();
  readonly #claimant = this.#mintId();

  constructor(store: Store<Tx>, options: ConsumerStateStoreOptions) {
    this.#store = store;
    this.#options = options;
  }

  consumeEventsForProjector(
    consumerId: string,
    _projectorName: string,
    context: string | undefined,
    handler: Handler<TransactionalContext<Tx>, RecordedEvent>,
    fetchSize?: number,
  ): Promise<number> {
    return this.#count(this.#projector(consumerId, context, handler), { fetchSize });
  }

  consumeEventsForObserver(
    consumerId: string,
    _observerName: string,
    context: string | undefined,
    handler: Handler<HandlerContext, RecordedEvent>,
    fetchSize?: number,
  ): Promise<number> {
    return this.#count(this.#observer(consumerId, context, handler), { fetchSize });
  }

  consumeEventsForSaga<Data>(
    consumerId: string,
    sagaName: string,
    context: string | undefined,
    handler: FreeSagaHandler<Tx, Data, RecordedEvent>,
    fetchSize?: number,
  ): Promise<number> {
    return this.#count(this.#saga(consumerId, sagaName, context, handler), { fetchSize });
  }

  consumeDeadEventsForProjector(
    consumerId: string,
    _projectorName: string,
    handler: Handler<TransactionalContext<Tx>, RecordedEvent>,
  ): Promise<number> {
    return this.#count(this.#projector(consumerId, undefined, handler), { deadLettersOnly: true });
  }

  consumeDeadEventsForObserver(
    consumerId: string,
    _observerName: string,
    handler: Handler<HandlerContext, RecordedEvent>,
  ): Promise<number> {
    return this.#count(this.#observer(consumerId, undefined, handler), { deadLettersOnly: true });
  }

  consumeDeadEventsForSaga<Data>(
    consumerId: string,
    sagaName: string,
    handler: FreeSagaHandler<Tx, Data, RecordedEvent>,
  ): Promise<number> {
    return this.#count(this.#saga(consumerId, sagaName, undefined, handler), { deadLettersOnly: true });
  }

  consume(consumer: AnyConsumer<Tx>, options: ConsumeOptions = {}): Promise<ConsumeResult> {
    const { log, executor, observe, leaseMs } = this.#options;
    return consume(this.#store, consumer, { log, executor, observe, leaseMs, ...options });
  }

  async enterExclusiveZone(consumerId: string, kind: ConsumerKind = "projector"): Promise<boolean> {
    const { log, leaseMs } = this.#options;
    const known = await this.#store.consumers.get(consumerId);
    if (known?.kind === undefined) await this.#store.consumers.declare(consumerId, { kind, log });
    const zone = await this.#store.enterZone(consumerId, { log, leaseMs });
    if (zone !== undefined) this.#zones.set(consumerId, zone);
    return zone !== undefined;
  }

  async leaveExclusiveZone(consumerId: string): Promise<void> {
    const zone = this.#zones.get(consumerId);
    this.#zones.delete(consumerId);
    await zone?.leave();
  }

  async getLastEventSequenceNumber(consumerId: string): Promise<Position | undefined> {
    const known = await this.#store.consumers.get(consumerId);
    const [segment] = known?.segments ?? [];
    // Declaring an observer or a saga is what commits the head for it.
    const committed = segment?.committedAt !== undefined || (known?.kind !== undefined && known.kind !== "projector");
    return committed ? segment?.position : undefined;
  }

  async getLastEventSequenceNumberSagaOrHead(
    consumerId: string,
    kind: "saga" | "observer" = "saga",
  ): Promise<Position> {
    const { log } = this.#options;
    const known = await this.#store.consumers.get(consumerId);
    const declared = known?.kind === undefined ? await this.#store.consumers.declare(consumerId, { kind, log }) : known;
    const position = declared.segments[0]?.position;
    if (position === undefined) throw new TypeError("A declared consumer has a position.");
    return position;
  }

  async setLastEventSequenceNumber(consumerId: string, position: Position): Promise<void> {
    await this.#zone(consumerId).commit(() => position);
  }

  async getSagaState<Data>(sagaName: string, property: string, value: string): Promise<FoundSaga<Data>> {
    const [found] = await this.#store.sagas.find(sagaName, property, value);
    if (found === undefined) return { id: undefined, version: undefined, state: undefined };
    const data = this.#decode<Data>(sagaName, found.data);
    return { id: found.id, version: found.version, state: { associations: found.associations, data } };
  }

  async setSagaState<Data>(
    sagaId: string | undefined,
    sagaName: string,
    state: SagaState<Data>,
    options: SagaWriteOptions = {},
  ): Promise<string> {
    const id = sagaId ?? this.#mintId();
    await this.#writeSaga(
      sagaName,
      id,
      sagaId !== undefined,
      { ...state, data: this.#encode(sagaName, state.data) },
      options,
    );
    return id;
  }

  async removeSagaState(sagaId: string, sagaName: string, options: SagaWriteOptions = {}): Promise<void> {
    this.#zone(options.consumerId);
    if ((await this.#store.sagas.get(sagaName, sagaId)) === undefined) return;
    await this.#writeSaga(sagaName, sagaId, true, { associations: {}, data: null, ended: true }, options);
  }

  isEnabled(consumerId: string): Promise<boolean> {
    return this.#store.consumers.isEnabled(consumerId);
  }

  setEnabled(consumerId: string, enabled: boolean): Promise<void> {
    return enabled ? this.#store.consumers.enable(consumerId) : this.#store.consumers.disable(consumerId);
  }

  setLastError(consumerId: string, error: unknown): Promise<void> {
    return this.#store.consumers.recordError(consumerId, error);
  }

  async getErrorState(consumerId: string): Promise<ConsumerError | undefined> {
    return (await this.#store.consumers.get(consumerId))?.segments[0]?.error;
  }

  getDeadEvents(consumerId: string): AsyncIterable<DeadLetter> {
    return this.#store.deadLetters.list(consumerId);
  }

  async setRetryDeadEvent(consumerId: string, position: Position, retry: boolean): Promise<void> {
    const { deadLetters } = this.#store;
    await (retry ? deadLetters.retry(consumerId, position) : deadLetters.cancel(consumerId, position));
  }

  async removeDeadEvent(consumerId: string, position: Position): Promise<void> {
    await this.#store.deadLetters.remove(consumerId, position);
  }

  async tryClaim(consumerId: string, eventId: string): Promise<boolean> {
    const claim = { token: this.#claimant, ms: CLAIM_MS };
    return (await this.#store.claims.claim(consumerId, eventId, claim)) === "claimed";
  }

  completeClaim(consumerId: string, eventId: string): Promise<void> {
    return this.#store.claims.complete(consumerId, eventId);
  }

  release(consumerId: string, eventId: string): Promise<void> {
    return this.#store.claims.release(consumerId, eventId, this.#claimant);
  }

  sweepBefore(consumerId: string, time: Date): Promise<number> {
    return this.#store.claims.sweep(consumerId, time);
  }

  listConsumers(): AsyncIterable<ConsumerState> {
    return this.#store.consumers.list();
  }

  delete(consumerId: string): Promise<void> {
    return this.#store.consumers.delete(consumerId);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#zones.keys()].map((consumerId) => this.leaveExclusiveZone(consumerId)));
  }

  #projector(
    consumerId: string,
    context: string | undefined,
    handle: Handler<TransactionalContext<Tx>, RecordedEvent>,
  ): AnyConsumer<Tx> {
    return defineProjector<Tx>({ name: consumerId, scope: scopeOf(context), failure: this.#options.failure, handle });
  }

  #observer(
    consumerId: string,
    context: string | undefined,
    handle: Handler<HandlerContext, RecordedEvent>,
  ): AnyConsumer<Tx> {
    return defineObserver({ name: consumerId, scope: scopeOf(context), failure: this.#options.failure, handle });
  }

  #saga<Data>(
    consumerId: string,
    saga: string,
    context: string | undefined,
    handle: FreeSagaHandler<Tx, Data, RecordedEvent>,
  ): AnyConsumer<Tx> {
    const { failure } = this.#options;
    return defineSaga<Tx, unknown>({
      name: consumerId,
      saga,
      scope: scopeOf(context),
      failure: { ...failure, then: failure?.then ?? "park" },
      handle: async (event, find, saga_) => {
        const findDecoded = async (property: string, value: string): Promise<FoundSaga<Data>> => {
          const { id, version, state } = await find(property, value);
          return { id, version, state: state && { ...state, data: this.#decode<Data>(saga, state.data) } };
        };
        const after = await handle(event, findDecoded, saga_);
        return after === undefined ? undefined : { ...after, data: this.#encode(saga, after.data) };
      },
    });
  }

  async #count(consumer: AnyConsumer<Tx>, options: ConsumeOptions): Promise<number> {
    const result = await this.consume(consumer, options);
    if (result.kind === "busy") return -1;
    if (result.kind === "stopped") throw result.error;
    return result.handled;
  }

  async #writeSaga(
    saga: string,
    id: string,
    mustExist: boolean,
    state: SagaState<unknown>,
    options: SagaWriteOptions,
  ): Promise<void> {
    const zone = this.#zone(options.consumerId);
    const { expectedVersion } = options;
    await zone.commit(
      async ({ records }) => {
        const stored = await records.sagas.get(saga, id);
        if (mustExist && stored === undefined) throw invalid("sagaId", `There is no saga ${id} of ${saga}.`);
        const read = stored && expectedVersion !== undefined ? { ...stored, version: expectedVersion } : stored;
        await keep(saga, id, read, state, records);
        return zone.position;
      },
      { signal: options.signal, keepError: true },
    );
  }

  #zone(consumerId: string | undefined): Zone<Tx> {
    const [only] = this.#zones.size === 1 ? this.#zones.values() : [];
    const zone = consumerId === undefined ? only : this.#zones.get(consumerId);
    if (zone !== undefined) return zone;
    throw new TidemarkError(
      "ZONE_REQUIRED",
      "Writing consumer state needs the consumer's zone, so that nobody overwrites whoever runs it. Call " +
        "enterExclusiveZone first" +
        (consumerId === undefined && this.#zones.size > 1 ? ", and name the consumer." : "."),
      { consumer: consumerId ?? "" },
    );
  }

  #encode(saga: string, data: unknown): unknown {
    const { serializer } = this.#options;
    return serializer === undefined ? data : serializer.toJson(data, { kind: "saga-state", type: saga });
  }

  #decode<Data>(saga: string, data: unknown): Data {
    const { serializer } = this.#options;
    return (serializer === undefined ? data : serializer.fromJson(data, { kind: "saga-state", type: saga })) as Data;
  }
}

function scopeOf(context: string | undefined): Scope {
  return context === undefined || context === "*" ? {} : { contexts: [context] };
}
