import type { Answer, AnswerReader, Protocol } from "../proxy.ts";

/** PostgreSQL's protocol, as far as a proxy needs it: https://www.postgresql.org/docs/current/protocol-message-formats.html */
export const postgresProtocol: Protocol = {
  protocols: ["postgres:", "postgresql:"],
  defaultPort: 5432,
  readAnswers: () => new PostgresAnswers(),
};

const [ERROR, READY, TAG] = ["E", "Z", "C"];
/** Of a message: its type, one byte, and its length without that. */
const HEADER = 5;

class PostgresAnswers implements AnswerReader {
  #rest: Buffer = Buffer.alloc(0);
  /** The messages of the answer that is not complete yet. */
  #messages: Buffer[] = [];
  #hasFailed = false;

  /** An answer tells all by itself. */
  ask(): void {}

  read(bytes: Buffer): readonly Answer[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const answers: Answer[] = [];
    for (let message = this.#take(); message !== undefined; message = this.#take()) {
      this.#messages.push(message);
      const type = String.fromCharCode(message[0] ?? 0);
      if (type === ERROR || (type === TAG && message.toString("latin1", HEADER).startsWith("ROLLBACK"))) {
        this.#hasFailed = true;
      }
      if (type === READY) {
        const isIdle = message[HEADER] === "I".charCodeAt(0);
        answers.push({ bytes: Buffer.concat(this.#messages), isCommitted: isIdle && !this.#hasFailed });
        this.#messages = [];
        this.#hasFailed = false;
      }
    }
    return answers;
  }

  #take(): Buffer | undefined {
    if (this.#rest.length < HEADER) return undefined;
    const length = 1 + this.#rest.readInt32BE(1);
    if (this.#rest.length < length) return undefined;
    const message = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return message;
  }
}
