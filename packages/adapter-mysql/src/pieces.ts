import { tooLarge } from "./errors.ts";
import type { Profile } from "./profile.ts";

/** What a statement's own words and the protocol need. */
const OVERHEAD = 1_024;
/** Longer statements are more than one packet of the protocol. */
const LONGEST = 0xff_ffff;
/** What a row has beside its long texts, at most: two vectors and a few ids. */
const ROW_BYTES = 10_240;

/** Bytes of values that a statement may have. */
export function roomIn({ maxPacket }: Profile): number {
  return Math.min(maxPacket, LONGEST) - OVERHEAD;
}

/** A text, cut where it must be for each piece to have room in a statement. At least one piece. */
export function piecesOf(text: string, room: number): readonly string[] {
  // A character is up to three bytes of the text's length, and a backslash is written twice.
  const length = Math.floor(room / 4);
  const pieces: string[] = [];
  for (let at = 0; at < text.length || at === 0;) {
    const end = at + length - (isHighSurrogate(text, at + length - 1) ? 1 : 0);
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

/** A row that is longer than the server's packets could be written in pieces, but never read. Throws UNUSABLE. */
export function refuseUnreadable(texts: readonly string[], { maxPacket }: Profile): void {
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  if (length * 3 + ROW_BYTES < maxPacket) return;
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes + ROW_BYTES > maxPacket) throw tooLarge();
}

function isHighSurrogate(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return unit >= 0xd800 && unit < 0xdc00;
}
