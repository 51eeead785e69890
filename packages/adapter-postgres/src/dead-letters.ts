import type { ConsumerKey } from "@tidemark/core";
import type { LetterPort, LetterQuery, LetterRecords, NewLetter } from "@tidemark/core/spi";
import { decodeLetter, decodeSequence, oneForEachPosition } from "@tidemark/sql-kit";
import { type Connection, numbers } from "./connection.ts";
import type { OpenSession, Session } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createLetterRecords(session: () => Session, sql: Statements): LetterRecords {
  return {
    list: (consumer, query, op) =>
      session().read(op, async (connection) => (await readLetters(connection, sql, consumer, query)).map(decodeLetter)),

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
    park: ({ name, version }, letters, op) =>
      session.write(op, async (connection) => {
        const { positions, columns, sequences } = arraysOf(oneForEachPosition(letters));
        await connection.run(sql.parkLetters, name, version, positions, ...columns);
        await connection.run(sql.parkSequences, name, version, positions, ...sequences);
      }),

    get: ({ name, version }, position, op) =>
      session.read(op, async (connection) => {
        const row = await connection.get(sql.letter, name, version, position);
        return row === undefined ? undefined : decodeLetter(row);
      }),

    any: ({ name, version }, op) =>
      session.read(op, async (connection) => (await connection.number(sql.anyLetter, name, version)) === 1),

    parked: ({ name, version }, sequences, before, op) =>
      session.read(op, async (connection) => {
        const rows = await connection.all(sql.parkedSequences, name, version, sequences, before);
        return rows.map(decodeSequence);
      }),

    count: (consumer, sequence, op) =>
      session.read(op, (connection) => countLetters(connection, sql, consumer, sequence)),

    remove: ({ name, version }, position, op) =>
      session.write(
        op,
        async (connection) => (await connection.number(sql.removeLetter, name, version, position)) === 1,
      ),

    requestWaiting: ({ name, version }, sequences, op) =>
      session.write(op, async (connection) => {
        await connection.run(sql.requestWaitingLetters, name, version, sequences);
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

/** Letters as the arrays that statements take. */
interface LetterArrays {
  readonly positions: unknown;
  /** What else a letter's row has. */
  readonly columns: readonly unknown[];
  /** A position and a text for each sequence of each letter. */
  readonly sequences: readonly unknown[];
}

function arraysOf(letters: readonly NewLetter[]): LetterArrays {
  const waiting = letters.flatMap(({ position, sequences }) => sequences.map((sequence) => ({ position, sequence })));
  return {
    positions: numbers(letters.map(({ position }) => position)),
    columns: [
      numbers(letters.map(({ bucket }) => bucket)),
      letters.map(({ event }) => event),
      letters.map(({ cause }) => cause),
      numbers(letters.map(({ attempts }) => attempts)),
    ],
    sequences: [numbers(waiting.map(({ position }) => position)), waiting.map(({ sequence }) => sequence)],
  };
}
