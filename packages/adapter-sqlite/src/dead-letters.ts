import type { ConsumerKey } from "@tidemark/core";
import type { LetterPort, LetterQuery, LetterRecords } from "@tidemark/core/spi";
import { decodeLetter, decodeSequence } from "@tidemark/sql-kit";
import type { Connection } from "./connection.ts";
import type { OpenSession, Sessions } from "./session.ts";
import type { Statements } from "./statements.ts";

export function createLetterRecords(sessions: () => Sessions, sql: Statements): LetterRecords {
  return {
    list: (consumer, query, op) =>
      sessions().reader.read(op, (connection) => readLetters(connection, sql, consumer, query).map(decodeLetter)),

    count: (consumer, op) =>
      sessions().reader.read(op, (connection) => countLetters(connection, sql, consumer, undefined)),

    request: ({ name, version }, position, request, op) =>
      sessions().writer.write(op, (connection) => {
        const { changes } =
          position === undefined
            ? connection.run(sql.requestLetters, request ?? null, name, version)
            : connection.run(sql.requestLetter, request ?? null, name, version, position);
        return changes;
      }),
  };
}

export function createLetterPort(session: OpenSession, sql: Statements): LetterPort {
  return {
    park: ({ name, version }, letters, op) =>
      session.write(op, (connection) => {
        for (const { position, bucket, sequences, event, cause = null, attempts } of letters) {
          connection.run(sql.parkLetter, name, version, position, bucket, event, cause, attempts);
          connection.run(sql.removeSequences, name, version, position);
          connection.run(sql.insertSequences, name, version, position, JSON.stringify(sequences));
        }
      }),

    get: ({ name, version }, position, op) =>
      session.read(op, (connection) => {
        const row = connection.get(sql.letter, name, version, position);
        return row === undefined ? undefined : decodeLetter(row);
      }),

    any: ({ name, version }, op) =>
      session.read(op, (connection) => connection.number(sql.anyLetter, name, version) === 1),

    parked: ({ name, version }, sequences, before, op) =>
      session.read(op, (connection) => {
        const parameters = { name, version, sequences: JSON.stringify(sequences), before: before ?? null };
        return connection.all(sql.parkedSequences, parameters).map(decodeSequence);
      }),

    count: (consumer, sequence, op) =>
      session.read(op, (connection) => countLetters(connection, sql, consumer, sequence)),

    remove: ({ name, version }, position, op) =>
      session.write(op, (connection) => {
        connection.run(sql.removeSequences, name, version, position);
        return connection.run(sql.removeLetter, name, version, position).changes === 1;
      }),

    requestWaiting: ({ name, version }, sequences, op) =>
      session.write(op, (connection) => {
        connection.run(sql.requestWaitingLetters, { name, version, sequences: JSON.stringify(sequences) });
      }),
  };
}

/** Three statements, so that each has its index. */
function readLetters(
  connection: Connection,
  sql: Statements,
  { name, version }: ConsumerKey,
  { after, limit, requested, sequence }: LetterQuery,
): readonly unknown[] {
  if (sequence !== undefined) {
    const parameters = { name, version, sequence, after, requested: requested ? 1 : 0, limit };
    return connection.all(sql.sequenceLetters, parameters);
  }
  return connection.all(requested ? sql.requestedLetters : sql.letters, name, version, after, limit);
}

function countLetters(
  connection: Connection,
  sql: Statements,
  { name, version }: ConsumerKey,
  sequence: string | undefined,
): number {
  return sequence === undefined
    ? connection.number(sql.countLetters, name, version)
    : connection.number(sql.countSequenceLetters, name, version, sequence);
}
