import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { ActorAccess } from "../actor/access.ts";
import { type ActorStores, createActorStores } from "../actor/actor-store.ts";
import { createEventStores, type EventStores } from "../actor/event-store.ts";
import type { Adapter, OpenedLog, TransactionPort } from "../adapter/adapter.ts";
import type { AppendOperation, AppendOutcome } from "../adapter/append.ts";
import type { Capabilities } from "../adapter/capabilities.ts";
import type { ConsumerKey } from "../adapter/consumers.ts";
import type { Operation } from "../adapter/operation.ts";
import { type Codec, createCodec } from "../codec.ts";
import { type Consumers, createConsumers } from "../consumer/consumers.ts";
import { type ConsumerInput, resolveConsumer } from "../consumer/name.ts";
import { type Claims, createClaims } from "../consumer/claims.ts";
import { createDeadLetters, type DeadLetters } from "../consumer/letters.ts";
import { createMembers, type Members } from "../consumer/members.ts";
import { createDeadlines, createSagas, type Deadlines, type Sagas } from "../consumer/records.ts";
import { refuseOtherLog, unknownConsumer } from "../consumer/refusals.ts";
import { type WaitForOptions, waitForConsumer } from "../consumer/wait-for.ts";
import { type EnterOptions, HeldZone, type Zone } from "../consumer/zone.ts";
import { isTidemarkError, isTransient, TidemarkError } from "../errors.ts";
import type { AppendRequest, AppendResult, RecordedEvent } from "../event.ts";
import type { AggregateInput } from "../values/aggregate.ts";
import { LIMITS } from "../values/limits.ts";
import { isPosition, type Position, START } from "../values/position.ts";
import { type OpenTransaction, refuseToWaitForOneself, runInside } from "./ambient.ts";
import { GroupCommit } from "./group-commit.ts";
import { createInTransaction, type InTransaction, onlyResult, toResults, transactionEnded } from "./in-transaction.ts";
import { Lifetime } from "./lifetime.ts";
import { positive, type ResolvedStoreOptions, resolvePoll, resolveStoreOptions, type StoreOptions } from "./options.ts";
import { decodeEvent, streamAggregate } from "./read-aggregate.ts";
import {
  checkText,
  invalid,
  type Preparation,
  type PreparedAppend,
  prepareAppend,
  resolveScope,
  skipKnown,
} from "./requests.ts";
import type {
  FrontierHolder,
  Page,
  ReadAggregateOptions,
  ReadAllOptions,
  Store,
  StoreInTransaction,
  TransactionOptions,
  WaitOptions,
} from "./store.ts";
import { abortable, backoff, linkSignals, sleep, throwIfAborted } from "./timing.ts";
import { Waker } from "./waker.ts";

const DEFAULT_PAGE = 500;
/** For handlers that go on although their transaction was given up. */
const LEAST_PATIENCE_MS = 30_000;
/** Of data and metadata in one page, so that pages of large events stay small in memory. */
const PAGE_BYTES = 8 * 1024 * 1024;

/**
 * Opens a store on an adapter: validation, limits, ids, encoding, group commit, retries and signals on top of what the
 * adapter does. Checks the schema, or brings it up to date. Errors: SCHEMA_MISMATCH, UNAVAILABLE, INVALID_ARGUMENT.
 */
export async function openStore<Tx>(adapter: Adapter<Tx>, options: StoreOptions = {}): Promise<Store<Tx>> {
  const resolved = resolveStoreOptions(options);
  try {
    return new OpenedStore(adapter, await adapter.open(resolved.schema, {}), resolved);
  } catch (error) {
    await adapter.close();
    throw error;
  }
}

class OpenedStore<Tx> implements Store<Tx> {
  readonly logId: string;
  readonly adapter: string;
  readonly capabilities: Capabilities;
  readonly consumers: Consumers;
  readonly sagas: Sagas;
  readonly deadLetters: DeadLetters;
  readonly claims: Claims;
  readonly members: Members;
  readonly actorStores: ActorStores;
  readonly eventStores: EventStores;
  readonly deadlines: Deadlines;
  readonly codec: Codec;
  /** What a transaction of ours blocks. */
  readonly #locks: string;
  readonly #adapter: Adapter<Tx>;
  readonly #options: ResolvedStoreOptions;
  readonly #preparation: Preparation;
  readonly #sameContent: AppendOperation["sameContent"];
  readonly #groupCommit: GroupCommit;
  readonly #lifetime = new Lifetime();
  readonly #waker = new Waker();
  /** Woken when a consumer has committed. */
  readonly #progress = new Waker();
  readonly #zones = new Set<HeldZone<Tx>>();
  readonly #stopListening: (() => void) | undefined;
  #lent = 0;

  constructor(adapter: Adapter<Tx>, opened: OpenedLog, options: ResolvedStoreOptions) {
    const codec = createCodec(options.serializer);
    this.logId = opened.logId;
    this.#locks = opened.locks ?? opened.logId;
    this.adapter = adapter.name;
    this.capabilities = adapter.capabilities;
    this.#adapter = adapter;
    this.#options = options;
    this.codec = codec;
    this.#preparation = { codec, ids: options.ids };
    this.#sameContent = (stored, given) =>
      stored.type === given.type && codec.same(stored.data, given.data, { kind: "event-data", type: given.type });
    // Counted by themselves: an append whose caller has given up may still be under way when the store closes.
    const appendBatch: Adapter<Tx>["appendBatch"] = (units, op) =>
      this.#lifetime.track(() => adapter.appendBatch(units, op));
    this.#groupCommit = new GroupCommit({ appendBatch }, options, this.#sameContent, () => this.#waker.wake());
    this.#stopListening = adapter.listen?.(() => this.#waker.wake());
    const call = <T>(name: string, writes: boolean, work: () => Promise<T>): Promise<T> =>
      this.#record(name, writes, work);
    this.sagas = createSagas(adapter.sagas, codec, call);
    this.deadlines = createDeadlines(adapter.deadlines, codec, call);
    this.deadLetters = createDeadLetters(adapter.deadLetters, codec, call);
    this.claims = createClaims(adapter.claims, call);
    this.members = createMembers(adapter.members, call);
    const access = this.#actorAccess();
    this.actorStores = createActorStores(access);
    this.eventStores = createEventStores(access);
    this.consumers = createConsumers({
      adapter,
      log: this,
      call,
      onEnabled: (key, enabled) => this.#setEnabled(key, enabled),
    });
  }

  async append(request: AppendRequest, options: Operation = {}): Promise<AppendResult> {
    const prepared = this.#prepare("append", [request], options);
    return onlyResult(toResults(prepared, await this.#submit(prepared, options)));
  }

  async appendAll(requests: readonly AppendRequest[], options: Operation = {}): Promise<readonly AppendResult[]> {
    const prepared = this.#prepare("appendAll", requests, options);
    return toResults(prepared, await this.#submit(prepared, options));
  }

  readAggregate(aggregate: AggregateInput, options: ReadAggregateOptions = {}): AsyncIterable<RecordedEvent> {
    return streamAggregate(aggregate, options, this.codec, (query, op) =>
      this.#read("readAggregate", op, () => this.#adapter.readAggregate(query, op)),
    );
  }

  async readAll(options: ReadAllOptions = {}): Promise<Page> {
    const { after = START, limit = DEFAULT_PAGE } = options;
    checkPosition("after", after);
    if (positive("limit", limit) > LIMITS.eventsPerPage) {
      throw invalid("limit", `limit is at most ${LIMITS.eventsPerPage}. Read page by page, on from \`next\`.`);
    }
    const query = { after, limit, bytes: PAGE_BYTES, scope: resolveScope(options.scope) };
    const page = await this.#read("readAll", options, () => this.#adapter.readAll(query, options));
    return { events: page.events.map((row) => decodeEvent(row, this.codec)), next: page.next };
  }

  head(options: Operation = {}): Promise<Position> {
    return this.#read("head", options, () => this.#adapter.head(options));
  }

  async wait(after: Position, options: WaitOptions = {}): Promise<Position> {
    const poll = resolvePoll(options.poll, this.#options.poll);
    checkPosition("after", after);
    const deadline = performance.now() + positive("timeoutMs", options.timeoutMs ?? 30_000);
    const { controller, unlink } = linkSignals([options.signal, this.#lifetime.closing]);
    try {
      for (let pause = poll.minMs; ;) {
        const version = this.#waker.version;
        const head = await this.head({ signal: controller.signal });
        const left = deadline - performance.now();
        if (head > after || left <= 0) return head;
        const woken = await this.#waker.rest(version, Math.min(pause, left), controller.signal);
        pause = woken ? poll.minMs : Math.min(pause * 2, poll.maxMs);
      }
    } finally {
      unlink();
    }
  }

  async frontierHolders(op: Operation = {}): Promise<readonly FrontierHolder[]> {
    const rows = await this.#read("frontierHolders", op, () => this.#adapter.frontierHolders(op));
    return rows.map((row) => ({ ...row, since: row.since === undefined ? undefined : new Date(row.since) }));
  }

  async transaction<T>(
    work: (tx: Tx, store: StoreInTransaction) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    const mayTryAgain = options.retry === "transient" ? isTransient : (): boolean => false;
    return this.#call("transaction", true, () =>
      this.#again(() => this.#transact(work, options), mayTryAgain, options),
    );
  }

  within(tx: Tx): StoreInTransaction {
    this.#lifetime.check();
    const port = this.#adapter.within(tx);
    const open: OpenTransaction = {
      logId: this.logId,
      locks: this.#locks,
      isOpen: () => port.isOpen(),
      locked: new Set(),
    };
    return this.#inside(port, open, () => this.#lifetime.check());
  }

  async enterZone(consumer: ConsumerInput, options: EnterOptions = {}): Promise<Zone<Tx> | undefined> {
    const key = resolveConsumer(consumer);
    const segment = options.segment ?? 0;
    const leaseMs = positive("leaseMs", options.leaseMs ?? 30_000);
    const owner = checkText("owner", "consumerNameBytes", options.owner ?? defaultOwner());
    const enter = async (attempt: number): Promise<Zone<Tx> | undefined> => {
      const row = await this.#adapter.consumers.get(key, options);
      if (row?.kind === undefined) throw unknownConsumer(key);
      refuseOtherLog(row, options.log?.logId ?? this.logId);
      if (!row.segments.some((candidate) => candidate.segment === segment)) {
        throw invalid(
          "segment",
          `${key.name} has ${row.segments.length} segment(s), counted from 0; there is no ${segment}.`,
        );
      }
      const segmentKey = { ...key, generation: row.generation, segment };
      const entry = await this.#adapter.zones.enter(segmentKey, { owner, ms: leaseMs }, options);
      if (entry.kind === "busy") return undefined;
      // Its layout may just have been replaced by another one.
      if (entry.kind === "unknown" && attempt < this.#options.retry.attempts) return enter(attempt + 1);
      if (entry.kind === "unknown") throw unknownConsumer(key);
      const zone = new HeldZone<Tx>({
        adapter: this.#adapter,
        key: segmentKey,
        segments: row.segments.length,
        token: entry.token,
        position: entry.position,
        leaseMs,
        transaction: (work, op) => this.#call("zone.commit", true, () => this.#transact(work, op)),
        prepare: (request) => prepareAppend([request], this.#preparation),
        codec: this.codec,
        patienceMs: Math.max(this.#options.maxTransactionMs, LEAST_PATIENCE_MS),
        onCommit: () => this.#progress.wake(),
        call: (name, writes, work) => this.#record(name, writes, work),
        takeoverIsImpossible: () => this.#adapter.lending !== "beside" && this.#lent > 0,
        onLeave: (left) => void this.#zones.delete(left),
      });
      this.#zones.add(zone);
      return zone;
    };
    return this.#record("enterZone", true, () => enter(1));
  }

  async waitFor(
    consumer: ConsumerInput,
    position: Position,
    options: WaitForOptions = {},
  ): Promise<"applied" | "parked"> {
    checkPosition("position", position);
    const { controller, unlink } = linkSignals([options.signal, this.#lifetime.closing]);
    try {
      const parts = { store: this, progress: this.#progress, poll: this.#options.poll, signal: controller.signal };
      return await waitForConsumer(parts, consumer, position, options);
    } finally {
      unlink();
    }
  }

  async close(): Promise<void> {
    // Whatever the adapter: closing waits for every open transaction, the caller's own among them.
    refuseToWaitForOneself({
      call: "close",
      writes: true,
      logId: this.logId,
      locks: this.#locks,
      lending: "blocks-all",
      keys: [],
    });
    await this.#lifetime.close(async () => {
      this.#stopListening?.();
      // Not before every call has ended: one of them may have been entering a zone.
      await Promise.allSettled([...this.#zones].map((zone) => zone.release()));
      await this.#adapter.close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #actorAccess(): ActorAccess {
    const adapter = this.#adapter;
    return {
      snapshots: adapter.snapshots,
      identities: adapter.identities,
      packs: adapter.packs,
      codec: this.codec,
      ids: this.#options.ids,
      enter: () => undefined,
      read: (name, op, work) => this.#read(name, op, work),
      write: (name, keys, work) => this.#record(name, true, work, keys),
      readEventsById: (query, op) => this.#read("eventStore.read", op, () => adapter.readEventsById(query, op)),
      appendMissing: async (request, op) => {
        const prepared = skipKnown(this.#prepare("eventStore.storeEvents", [request], op));
        return onlyResult(toResults(prepared, await this.#submit(prepared, op)));
      },
    };
  }

  #prepare(call: string, requests: readonly AppendRequest[], { signal }: Operation): PreparedAppend {
    this.#lifetime.check();
    throwIfAborted(signal);
    const prepared = prepareAppend(requests, this.#preparation);
    this.#refuseInside(call, true, prepared.keys);
    return prepared;
  }

  #submit(prepared: PreparedAppend, { signal }: Operation): Promise<AppendOutcome> {
    return this.#lifetime.run(() => this.#groupCommit.submit(prepared, signal));
  }

  async #read<T>(name: string, op: Operation, work: () => Promise<T>): Promise<T> {
    throwIfAborted(op.signal);
    return abortable(this.#call(name, false, work), op.signal);
  }

  /** Every call on the store: refused when closed, refused when it would wait for its own caller, counted for close. */
  async #call<T>(name: string, writes: boolean, work: () => Promise<T>, keys: readonly string[] = []): Promise<T> {
    this.#lifetime.check();
    this.#refuseInside(name, writes, keys);
    return this.#lifetime.run(work);
  }

  /** A call on records. The victim of a deadlock left nothing behind, so it may simply try again. */
  #record<T>(name: string, writes: boolean, work: () => Promise<T>, keys: readonly string[] = []): Promise<T> {
    return this.#call(name, writes, () => this.#again(work, (error) => isTidemarkError(error, "CONTENTION")), keys);
  }

  async #again<T>(work: () => Promise<T>, mayTryAgain: (error: unknown) => boolean, op: Operation = {}): Promise<T> {
    const { retry } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (attempt >= retry.attempts || !mayTryAgain(error)) throw error;
        await sleep(backoff(attempt, retry), op.signal);
      }
    }
  }

  #refuseInside(call: string, writes: boolean, keys: readonly string[] = []): void {
    const { lending } = this.#adapter;
    refuseToWaitForOneself({ call, writes, keys, lending, logId: this.logId, locks: this.#locks });
  }

  #inside(port: TransactionPort, open: OpenTransaction, check: () => void): InTransaction {
    return createInTransaction({
      port,
      open,
      check,
      preparation: this.#preparation,
      codec: this.codec,
      sameContent: this.#sameContent,
    });
  }

  async #transact<T>(
    work: (tx: Tx, store: InTransaction, signal: AbortSignal) => Promise<T>,
    op: Operation,
  ): Promise<T> {
    throwIfAborted(op.signal);
    const allowedMs = this.#options.maxTransactionMs;
    const { controller, unlink } = linkSignals([op.signal]);
    let ended = false;
    const open: OpenTransaction = { logId: this.logId, locks: this.#locks, isOpen: () => !ended, locked: new Set() };
    const check = (): void => {
      if (ended) throw transactionEnded();
    };
    let timer: NodeJS.Timeout | undefined;
    try {
      const lend = async (tx: Tx): Promise<T> => {
        timer = setTimeout(() => controller.abort(timedOut(allowedMs)), allowedMs);
        this.#lent += 1;
        try {
          const store = this.#inside(this.#adapter.within(tx), open, check);
          return await runInside(open, () => work(tx, store, controller.signal));
        } finally {
          this.#lent -= 1;
        }
      };
      const result = await this.#adapter.transaction(lend, { signal: controller.signal });
      if (open.locked.size > 0) this.#waker.wake();
      return result;
    } finally {
      ended = true;
      clearTimeout(timer);
      unlink();
    }
  }

  #setEnabled(key: ConsumerKey, enabled: boolean): void {
    for (const zone of this.#zones) {
      if (zone.consumer.name === key.name && zone.consumer.version === key.version) zone.enabled = enabled;
    }
  }
}

function checkPosition(argument: string, value: Position): void {
  if (isPosition(value)) return;
  throw invalid(
    argument,
    `${argument} is a position, a bigint that a page, a result or head() gave; got ${String(value)}.`,
  );
}

function timedOut(allowedMs: number): TidemarkError<"TRANSACTION_TIMEOUT"> {
  return new TidemarkError(
    "TRANSACTION_TIMEOUT",
    `The transaction was open for more than ${allowedMs} ms and was rolled back. Do less in one transaction, move slow ` +
      "calls out of it, or raise maxTransactionMs.",
    { allowedMs },
  );
}

function defaultOwner(): string {
  return `${hostname().slice(0, 60)}:${process.pid}:${randomUUID().slice(0, 8)}`;
}
