import type { ConsumerKey } from "@tidemark/core";
import {
  compareBytes,
  type LetterPort,
  type LetterQuery,
  type LetterRecords,
  type LetterRow,
  type NewLetter,
} from "@tidemark/core/spi";
import { decodeLetter, decodeSequence, oneForEachPosition } from "@tidemark/sql-kit";
import { anyOf, bytesOf, type Connection, expression, list, rows, type Value } from "./connection.ts";
import { piecesOf, roomIn } from "./pieces.ts";
import type { OpenSession, Session } from "./session.ts";
import { NOW_MS, type Statements } from "./statements.ts";

export function createLetterRecords(session: () => Session, sql: Statements): LetterRecords {
  return {
    list: (consumer, query, op) =>
      session().read(op, async (connection) => lettersOf(await readLetters(connection, sql, consumer, query))),

    count: (consumer, op) => session().read(op, (connection) => countLetters(connection, sql, consumer, undefined)),

    request: ({ name, version }, position, request, op) =>
      session().autocommit(op, (connection) =>
        position === undefined
          ? connection.run(sql.requestLetters, name, version, request)
          : connection.run(sql.requestLetter, name, version, position, request),
      ),
  };
}

export function createLetterPort(session: OpenSession, sql: Statements): LetterPort {
  return {
    park: (consumer, letters, op) =>
      session.write(op, async (connection, profile) => {
        const room = roomIn(profile);
        for (const batch of batchesOf(oneForEachPosition(letters), consumer, room)) {
          await park(connection, sql, consumer, batch, room);
        }
      }),

    get: ({ name, version }, position, op) =>
      session.read(op, async (connection) => lettersOf(await connection.all(sql.letter, name, version, position))[0]),

    any: ({ name, version }, op) =>
      session.read(op, async (connection) => (await connection.number(sql.anyLetter, name, version)) === 1),

    parked: ({ name, version }, sequences, before, op) =>
      session.read(op, async (connection) => {
        const found = await (before === undefined
          ? connection.all(sql.parkedSequences, name, version, JSON.stringify(sequences))
          : connection.all(sql.sequencesParkedBefore, name, version, list(sequences), before));
        const parked = new Set(found.map(decodeSequence));
        return sequences.filter((sequence) => parked.has(sequence));
      }),

    count: (consumer, sequence, op) =>
      session.read(op, (connection) => countLetters(connection, sql, consumer, sequence)),

    remove: ({ name, version }, position, op) =>
      session.write(op, async (connection) => {
        if ((await connection.run(sql.removeLetter, name, version, position)) === 0) return false;
        await connection.run(sql.removeSequences, name, version, position);
        return true;
      }),

    requestWaiting: ({ name, version }, sequences, op) =>
      session.write(op, async (connection) => {
        const found = await connection.all(sql.positionsOfSequences, name, version, JSON.stringify(sequences));
        // Who locks several letters locks them in the order of their positions.
        for (const some of inParts(found.map(positionOf).toSorted((a, b) => a - b))) {
          await connection.run(sql.requestWaitingLetters, name, version, list(some));
        }
      }),
  };
}

/** Three statements, so that each has its index. */
function readLetters(
  connection: Connection,
  sql: Statements,
  { name, version }: ConsumerKey,
  { after, limit, requested, sequence }: LetterQuery,
): Promise<readonly unknown[]> {
  if (sequence !== undefined) {
    return connection.all(sql.sequenceLetters, name, version, sequence, after, limit, requested);
  }
  return connection.all(requested ? sql.requestedLetters : sql.letters, name, version, after, limit);
}

function countLetters(
  connection: Connection,
  sql: Statements,
  { name, version }: ConsumerKey,
  sequence: string | undefined,
): Promise<number> {
  return sequence === undefined
    ? connection.number(sql.countLetters, name, version)
    : connection.number(sql.countSequenceLetters, name, version, sequence);
}

/** How many rows a statement is about: servers give up on using an index for many thousands. */
const MOST = 1_000;

/** As many as a statement may have and has room for. One that it has no room for is a batch of its own. */
function batchesOf(
  letters: readonly NewLetter[],
  consumer: ConsumerKey,
  room: number,
): readonly (readonly NewLetter[])[] {
  const batches: NewLetter[][] = [];
  let left = 0;
  for (const letter of letters) {
    const size = bytesOf(rows([letterValues(consumer, letter)]));
    const last = batches.at(-1);
    if (last === undefined || size > left || last.length === MOST) {
      batches.push([letter]);
      left = room - size;
    } else {
      last.push(letter);
      left -= size;
    }
  }
  return batches;
}

async function park(
  connection: Connection,
  sql: Statements,
  consumer: ConsumerKey,
  letters: readonly NewLetter[],
  room: number,
): Promise<void> {
  const { name, version } = consumer;
  const values = rows(letters.map((letter) => letterValues(consumer, letter)));
  if (bytesOf(values) <= room) await connection.run(sql.parkLetters, values);
  else for (const letter of letters) await parkByPieces(connection, sql, consumer, letter, room);

  const stay = letters.filter(({ sequences }) => sequences.length > 0);
  await connection.run(
    sql.removeOtherSequences,
    name,
    version,
    `[${letters.map(({ position }) => position).join(",")}]`,
    anyOf(
      ["old.position", "old.sequence"],
      stay.map(({ position, sequences }) => [position, list(sequences)]),
    ),
  );
  const waiting = stay.flatMap(({ position, sequences }) =>
    sequences.map((sequence) => [name, version, sequence, position]),
  );
  for (const some of inParts(waiting)) await connection.run(sql.insertSequences, rows(some));
}

/** A letter whose event a statement has no room for, although a row has. */
async function parkByPieces(
  connection: Connection,
  sql: Statements,
  consumer: ConsumerKey,
  letter: NewLetter,
  room: number,
): Promise<void> {
  await connection.run(sql.parkLetters, rows([letterValues(consumer, { ...letter, event: "" })]));
  const { event, position } = letter;
  for (const piece of piecesOf(event, room)) {
    await connection.run(sql.appendToLetter, consumer.name, consumer.version, position, piece);
  }
}

function letterValues({ name, version }: ConsumerKey, letter: NewLetter): readonly Value[] {
  const { position, bucket, cause, attempts, event } = letter;
  return [name, version, position, bucket, cause, attempts, NOW, NOW, event];
}

/** By the database's clock. */
const NOW = expression(NOW_MS);

function inParts<T>(items: readonly T[]): readonly (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  for (let at = 0; at < items.length; at += MOST) parts.push(items.slice(at, at + MOST));
  return parts;
}

/** A row for each letter, whose event comes once, and one for each of its sequences. */
interface LetterColumns {
  readonly position: number;
  /** Null in a letter's row. */
  readonly sequence: string | null;
}

/** Ascending by position. */
function lettersOf(found: readonly unknown[]): readonly LetterRow[] {
  const columns = found.map(asLetterColumns);
  const sequences = new Map<number, string[]>();
  for (const { position, sequence } of columns) {
    const known = sequences.get(position) ?? [];
    if (sequence !== null) known.push(sequence);
    sequences.set(position, known);
  }
  return columns
    .filter(({ sequence }) => sequence === null)
    .toSorted((a, b) => a.position - b.position)
    .map((row) => decodeLetter({ ...row, sequences: textOf(sequences.get(row.position) ?? []) }));
}

/** As decoders of rows take them. */
function textOf(sequences: readonly string[]): string {
  return JSON.stringify(sequences.toSorted(compareBytes));
}

function asLetterColumns(row: unknown): LetterColumns {
  return row as LetterColumns;
}

function positionOf(row: unknown): number {
  return (row as { readonly position: number }).position;
}
