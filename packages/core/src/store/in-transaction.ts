import { createActorStores } from "../actor/actor-store.ts";
import type { ActorAccess } from "../actor/access.ts";
import { createEventStores } from "../actor/event-store.ts";
import type { TransactionPort } from "../adapter/adapter.ts";
import type { AppendOperation, AppendOutcome } from "../adapter/append.ts";
import type { Operation } from "../adapter/operation.ts";
import { TidemarkError } from "../errors.ts";
import type { AppendRequest, AppendResult } from "../event.ts";
import type { AggregateRef } from "../values/aggregate.ts";
import type { Codec } from "../codec.ts";
import { type OpenTransaction, enterInside } from "./ambient.ts";
import { streamAggregate } from "./read-aggregate.ts";
import { describe, type Preparation, type PreparedAppend, prepareAppend, skipKnown } from "./requests.ts";
import type { StoreInTransaction } from "./store.ts";

export interface InTransaction extends StoreInTransaction {
  /** Appends what was prepared before, each append on its own; throws the first refusal. */
  appendPrepared(prepared: readonly PreparedAppend[], op: Operation): Promise<readonly (readonly AppendResult[])[]>;
}

export interface TransactionParts {
  readonly port: TransactionPort;
  readonly open: OpenTransaction;
  readonly preparation: Preparation;
  readonly codec: Codec;
  readonly sameContent: AppendOperation["sameContent"];
  /** Called before each call; throws when the transaction is known to be over. */
  readonly check: () => void;
}

export function createInTransaction(parts: TransactionParts): InTransaction {
  const { port, open } = parts;

  async function appendPrepared(
    prepared: readonly PreparedAppend[],
    op: Operation,
  ): Promise<readonly (readonly AppendResult[])[]> {
    for (const { keys } of prepared) for (const key of keys) open.locked.add(key);
    const units = prepared.map((append) => append.unit);
    const outcomes = await port.appendBatch(units, { ...op, onBusy: "wait", sameContent: parts.sameContent });
    return prepared.map((append, index) => toResults(append, outcomes[index]));
  }

  async function appendAll(requests: readonly AppendRequest[], op: Operation = {}): Promise<readonly AppendResult[]> {
    parts.check();
    const prepared = prepareAppend(requests, parts.preparation);
    const [results] = await appendPrepared([prepared], op);
    return results ?? [];
  }

  const access: ActorAccess = {
    snapshots: port.snapshots,
    identities: port.identities,
    packs: port.packs,
    codec: parts.codec,
    ids: parts.preparation.ids,
    enter: () => enterInside(open),
    read: async (_name, _op, work) => {
      parts.check();
      return work();
    },
    write: async (_name, keys, work) => {
      parts.check();
      for (const key of keys) open.locked.add(key);
      return work();
    },
    readEventsById: async (query, op) => {
      parts.check();
      return port.readEventsById(query, op);
    },
    appendMissing: async (request, op) => {
      parts.check();
      const [results] = await appendPrepared([skipKnown(prepareAppend([request], parts.preparation))], op);
      return onlyResult(results ?? []);
    },
  };

  return {
    appendPrepared,
    actorStores: createActorStores(access),
    eventStores: createEventStores(access),
    // Not async: the mark on the calling context must be set before the first await.
    append: (request, op) => {
      enterInside(open);
      return appendAll([request], op).then(onlyResult);
    },
    appendAll: (requests, op) => {
      enterInside(open);
      return appendAll(requests, op);
    },
    readAggregate: (aggregate, options = {}) => {
      parts.check();
      return streamAggregate(aggregate, options, parts.codec, (query, op) => {
        parts.check();
        return port.readAggregate(query, op);
      });
    },
  };
}

/** The results of an append, or the error that its outcome means. */
export function toResults(append: PreparedAppend, outcome: AppendOutcome | undefined): readonly AppendResult[] {
  if (outcome === undefined) throw new TypeError("The adapter returned fewer outcomes than it was given units.");
  const { parts } = append.unit;
  switch (outcome.kind) {
    case "appended":
    case "repeated":
      return outcome.parts.map((part, index) => ({
        aggregate: partAt(parts, index).ref,
        ...part,
        ids: append.ids[index] ?? [],
        repeated: outcome.kind === "repeated",
      }));
    case "conflict":
      throw versionConflict(partAt(parts, outcome.part), outcome.actual);
    case "known-ids":
      throw knownIds(partAt(parts, outcome.part).ref, outcome.ids, append.unit.known);
    case "busy":
      throw new TypeError("The adapter answered busy to an append that was to wait.");
  }
}

export function onlyResult(results: readonly AppendResult[]): AppendResult {
  const [result] = results;
  if (result === undefined) throw new TypeError("An append without a result.");
  return result;
}

/** For what was handed out with a transaction that is over. */
export function transactionEnded(): TidemarkError<"TRANSACTION_ENDED"> {
  return new TidemarkError(
    "TRANSACTION_ENDED",
    "The transaction that this was handed out for is over. Await everything inside the work that you give to it.",
    {},
  );
}

type Part = PreparedAppend["unit"]["parts"][number];

function partAt(parts: readonly Part[], index: number): Part {
  const part = parts[index];
  if (part === undefined) throw new TypeError(`The adapter named part ${index}, which the unit does not have.`);
  return part;
}

function versionConflict(part: Part, actual: number): TidemarkError<"VERSION_CONFLICT"> {
  const { ref, expected } = part;
  return new TidemarkError(
    "VERSION_CONFLICT",
    `${describe(ref)} is at version ${actual}, the append expected ${typeof expected === "number" ? `version ${expected}` : expected}. ` +
      "Nothing was written. Load the aggregate again, decide again, append again.",
    { aggregate: ref, expected, actual },
  );
}

function knownIds(
  ref: AggregateRef,
  ids: readonly string[],
  known: PreparedAppend["unit"]["known"],
): TidemarkError<"KNOWN_EVENT_IDS"> {
  const advice =
    known === "skip"
      ? "with another type or other data. Nothing was written. What is stored never changes: mint new ids for new events."
      : "with other content or in another order or grouping. Nothing was written. To retry an append repeat it exactly; " +
        "for new events mint new ids.";
  return new TidemarkError(
    "KNOWN_EVENT_IDS",
    `${describe(ref)} already has ${ids.length} of these event ids, ${advice}`,
    {
      aggregate: ref,
      ids,
    },
  );
}
