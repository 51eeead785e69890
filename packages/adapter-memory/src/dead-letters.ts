import type { ConsumerKey, Position } from "@tidemark/core";
import {
  compareBytes,
  type LetterPort,
  type LetterRecords,
  type LetterRow,
  type NewLetter,
  type Operation,
  throwIfAborted,
} from "@tidemark/core/spi";
import { consumerRowKey, type Database, type LetterRecord, letterRowKey, sequenceTerm } from "./database.ts";
import type { Transaction } from "./memory-transaction.ts";
import { transact } from "./transaction.ts";

/** Who locks several letters locks them in the order of their positions. */
export function createLetterRecords(database: Database): LetterRecords {
  const { letters } = database;
  return {
    list: async (consumer, { after, limit, requested, sequence }, op) => {
      throwIfAborted(op.signal);
      return find(database, consumer, sequence)
        .filter(({ position, request }) => position > after && (!requested || request !== undefined))
        .slice(0, limit)
        .map(toRow);
    },

    count: async (consumer, op) => {
      throwIfAborted(op.signal);
      return find(database, consumer, undefined).length;
    },

    request: (consumer, position, request, op) =>
      transact(database, op, async (transaction) => {
        const positions = position === undefined ? positionsOf(find(database, consumer, undefined)) : [position];
        const found = await lockLetters(database, consumer, positions, transaction, op);
        for (const letter of found) {
          letters.set(letterRowKey(consumer, letter.position), { ...letter, request }, transaction);
        }
        return found.length;
      }),
  };
}

export function createLetterPort(database: Database, transaction: Transaction): LetterPort {
  const { letters } = database;
  const check = (op: Operation): void => {
    throwIfAborted(op.signal);
    transaction.check();
  };
  return {
    park: async (consumer, parked, op) => {
      await lockLetters(database, consumer, positionsOf(parked), transaction, op);
      const now = database.now();
      for (const letter of parked) {
        const rowKey = letterRowKey(consumer, letter.position);
        letters.set(rowKey, toRecord(consumer, letter, letters.get(rowKey, transaction), now), transaction);
      }
    },

    get: async (consumer, position, op) => {
      check(op);
      const letter = letters.get(letterRowKey(consumer, position), transaction);
      return letter === undefined ? undefined : toRow(letter);
    },

    any: async (consumer, op) => {
      check(op);
      return letters.find(consumerRowKey(consumer), transaction).next().done !== true;
    },

    parked: async (consumer, sequences, before, op) => {
      check(op);
      return sequences.filter((sequence) => {
        for (const { position } of letters.find(sequenceTerm(consumer, sequence), transaction)) {
          if (before === undefined || position < before) return true;
        }
        return false;
      });
    },

    count: async (consumer, sequence, op) => {
      check(op);
      return find(database, consumer, sequence, transaction).length;
    },

    remove: async (consumer, position, op) => {
      const [letter] = await lockLetters(database, consumer, [position], transaction, op);
      if (letter === undefined) return false;
      letters.set(letterRowKey(consumer, position), undefined, transaction);
      return true;
    },

    requestWaiting: async (consumer, sequences, op) => {
      check(op);
      const waiting = sequences.flatMap((sequence) =>
        find(database, consumer, sequence, transaction).filter(({ attempts }) => attempts === 0),
      );
      for (const letter of await lockLetters(database, consumer, positionsOf(waiting), transaction, op)) {
        // What an operator wants removed is not tried first.
        if (letter.attempts > 0 || letter.request !== undefined) continue;
        letters.set(letterRowKey(consumer, letter.position), { ...letter, request: "retry" }, transaction);
      }
    },
  };
}

/** Forgets all letters of a consumer. */
export async function removeLetters(
  database: Database,
  consumer: ConsumerKey,
  transaction: Transaction,
  op: Operation,
): Promise<void> {
  const positions = positionsOf(find(database, consumer, undefined, transaction));
  for (const { position } of await lockLetters(database, consumer, positions, transaction, op)) {
    database.letters.set(letterRowKey(consumer, position), undefined, transaction);
  }
}

/** The letters of a consumer, or of one of its sequences, ascending by position. */
function find(
  { letters }: Database,
  consumer: ConsumerKey,
  sequence: string | undefined,
  transaction?: Transaction,
): readonly LetterRecord[] {
  const term = sequence === undefined ? consumerRowKey(consumer) : sequenceTerm(consumer, sequence);
  return [...letters.find(term, transaction)].toSorted((a, b) => (a.position < b.position ? -1 : 1));
}

function positionsOf(letters: readonly { readonly position: Position }[]): readonly Position[] {
  return letters.map(({ position }) => position);
}

/** Locks the rows at these positions. Returns the letters that are there once the locks are had. */
async function lockLetters(
  { letters }: Database,
  consumer: ConsumerKey,
  positions: readonly Position[],
  transaction: Transaction,
  op: Operation,
): Promise<readonly LetterRecord[]> {
  const sorted = [...new Set(positions)].toSorted((a, b) => (a < b ? -1 : 1));
  const rowKeys = sorted.map((position) => letterRowKey(consumer, position));
  for (const rowKey of rowKeys) await transaction.lock(letters, rowKey, op);
  return rowKeys.map((rowKey) => letters.get(rowKey, transaction)).filter((letter) => letter !== undefined);
}

function toRecord(
  { name, version }: ConsumerKey,
  { position, bucket, sequences, event, cause, attempts }: NewLetter,
  known: LetterRecord | undefined,
  now: number,
): LetterRecord {
  return {
    consumer: { name, version },
    position,
    bucket,
    sequences: [...new Set(sequences)].toSorted(compareBytes),
    event,
    cause: cause ?? known?.cause,
    attempts: attempts + (known?.attempts ?? 0),
    firstAt: known?.firstAt ?? now,
    lastAt: now,
    request: undefined,
  };
}

function toRow({ consumer: _consumer, sequences, ...row }: LetterRecord): LetterRow {
  return { ...row, sequences: [...sequences] };
}
