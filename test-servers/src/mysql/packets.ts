/** What one side says at once. */
export interface Packet {
  /** As it was on the line. */
  readonly bytes: Buffer;
  /** 0 begins something new; what belongs to it is counted on. */
  readonly sequence: number;
  readonly payload: Buffer;
}

/** Of a part: the length of its payload, three bytes, and its number. */
const HEADER = 4;
/** A part of that length is followed by another one of the same packet. */
const LONGEST_PART = 0xffffff;

/** Puts together the packets of one direction of a connection. */
export class PacketReader {
  #rest: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];

  /** Takes in more bytes. The packets that are complete by now, in order. */
  read(bytes: Buffer): readonly Packet[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const packets: Packet[] = [];
    for (let part = this.#take(); part !== undefined; part = this.#take()) {
      this.#parts.push(part);
      if (part.length === HEADER + LONGEST_PART) continue;
      packets.push(packetOf(this.#parts));
      this.#parts = [];
    }
    return packets;
  }

  #take(): Buffer | undefined {
    if (this.#rest.length < HEADER) return undefined;
    const length = HEADER + this.#rest.readUIntLE(0, 3);
    if (this.#rest.length < length) return undefined;
    const part = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return part;
  }
}

function packetOf(parts: readonly Buffer[]): Packet {
  return {
    bytes: Buffer.concat(parts),
    sequence: parts[0]?.[HEADER - 1] ?? 0,
    payload: Buffer.concat(parts.map((part) => part.subarray(HEADER))),
  };
}
