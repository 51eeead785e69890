import type { Answer, AnswerReader, Protocol } from "../proxy.ts";
import { type Packet, PacketReader } from "./packets.ts";

/**
 * MySQL's and MariaDB's protocol, as far as a proxy needs it:
 * https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html. What begins an answer depends on what was asked,
 * and an acknowledgement says whether a transaction is open, but not whether the last one was rolled back. Only for clients
 * that do not ask for more than that, as mysql2: no cursors, and rows that end with a packet of their own, not `DEPRECATE_EOF`.
 */
export const mysqlProtocol: Protocol = {
  protocols: ["mysql:", "mariadb:"],
  defaultPort: 3306,
  readAnswers: () => new MysqlAnswers(),
};

const [QUERY, PREPARE, EXECUTE, SEND_LONG_DATA, CLOSE] = [0x03, 0x16, 0x17, 0x18, 0x19];
const [OK, LOCAL_INFILE, END, ERROR] = [0x00, 0xfb, 0xfe, 0xff];
/** The flags of a status. */
const [IN_TRANSACTION, MORE_RESULTS] = [0x0001, 0x0008];
/** A row may begin like an end, but is never as short as one. */
const LONGEST_END = 0xffffff;

class MysqlAnswers implements AnswerReader {
  readonly #requests = new PacketReader();
  readonly #replies = new PacketReader();
  #command = 0;
  #rollsBack = false;
  /** The packets of the answer that is not complete yet. */
  #packets: Buffer[] = [];
  /** How many more definitions of columns and parameters come, and what after them. */
  #definitions = 0;
  #next: "result" | "rows" = "result";

  ask(bytes: Buffer): void {
    for (const packet of this.#requests.read(bytes)) {
      // The rest are the parts of a login.
      if (packet.sequence === 0) this.#begin(packet);
    }
  }

  read(bytes: Buffer): readonly Answer[] {
    return this.#replies.read(bytes).flatMap((packet) => {
      this.#packets.push(packet.bytes);
      const outcome = this.#outcomeOf(packet.payload);
      if (outcome === "more") return [];
      const answer = { bytes: Buffer.concat(this.#packets), isCommitted: outcome === "committed" };
      this.#packets = [];
      return [answer];
    });
  }

  #begin({ payload }: Packet): void {
    const command = payload[0] ?? 0;
    // Nobody answers these.
    if (command === CLOSE || command === SEND_LONG_DATA) return;
    this.#command = command;
    this.#rollsBack = command === QUERY && /^\s*rollback\b/i.test(textOf(payload));
    this.#definitions = 0;
    this.#next = "result";
  }

  #outcomeOf(payload: Buffer): "more" | "committed" | "other" {
    const type = payload[0];
    if (this.#definitions > 0) {
      this.#definitions--;
      return this.#definitions === 0 && this.#command === PREPARE ? "other" : "more";
    }
    if (type === ERROR) return "other";
    if (this.#command === PREPARE) {
      this.#definitions = sizeOf(payload.readUInt16LE(5)) + sizeOf(payload.readUInt16LE(7));
      return this.#definitions === 0 ? "other" : "more";
    }
    if (this.#command !== QUERY && this.#command !== EXECUTE) return "other";
    switch (this.#next) {
      case "result":
        if (type === OK) return this.#end(statusOf(payload));
        // The client has to hear that the server waits for a file of its own.
        if (type === LOCAL_INFILE) return "other";
        this.#definitions = sizeOf(numberAt(payload, 0).value);
        this.#next = "rows";
        return "more";
      case "rows":
        if (type !== END || payload.length >= LONGEST_END) return "more";
        return this.#end(payload.readUInt16LE(3));
    }
  }

  #end(status: number): "more" | "committed" | "other" {
    this.#next = "result";
    if ((status & MORE_RESULTS) !== 0) return "more";
    return (status & IN_TRANSACTION) !== 0 || this.#rollsBack ? "other" : "committed";
  }
}

/** The beginning of a query. To MySQL, mysql2 says first that it has no attributes. */
function textOf(payload: Buffer): string {
  const start = payload[1] === 0x00 && payload[2] === 0x01 ? 3 : 1;
  return payload.toString("latin1", start, start + 100);
}

/** How many packets these definitions take: their end is one, too. */
function sizeOf(definitions: number): number {
  return definitions === 0 ? 0 : definitions + 1;
}

/** The status in an acknowledgement: after its type, how many rows were changed, and the last number that was given out. */
function statusOf(payload: Buffer): number {
  const changed = numberAt(payload, 1);
  const given = numberAt(payload, changed.end);
  return payload.readUInt16LE(given.end);
}

/** A number whose first byte tells how long it is. */
function numberAt(payload: Buffer, at: number): { readonly value: number; readonly end: number } {
  const first = payload[at] ?? 0;
  switch (first) {
    case 0xfc:
      return { value: payload.readUInt16LE(at + 1), end: at + 3 };
    case 0xfd:
      return { value: payload.readUIntLE(at + 1, 3), end: at + 4 };
    case 0xfe:
      return { value: Number(payload.readBigUInt64LE(at + 1)), end: at + 9 };
    default:
      return { value: first, end: at + 1 };
  }
}
