const encoder = new TextEncoder();

/** The number of bytes of `text` in UTF-8. Lone surrogates count as the three bytes of U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(index + 1))) {
      bytes += 2;
      index += 1;
    } else bytes += 2;
  }
  return bytes;
}

/** The UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** What keeps `text` from being stored and compared as bytes on every database, in words; undefined when nothing does. */
export function unstorable(text: string): string | undefined {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === 0) return `a NUL character at index ${index}`;
    if (unit < 0xd800 || unit > 0xdfff) continue;
    if (unit < 0xdc00 && isLowSurrogate(text.charCodeAt(index + 1))) index += 1;
    else return `a lone surrogate at index ${index}`;
  }
  return undefined;
}

/** `text` in a form that every database stores: NUL becomes ␀, its picture, and lone surrogates U+FFFD. */
export function storable(text: string): string {
  return unstorable(text) === undefined ? text : text.replaceAll("\0", "\u2400").replace(LONE_SURROGATES, "\ufffd");
}

/** By code points, of which the two halves of a pair are one. */
const LONE_SURROGATES = /\p{Surrogate}/gu;

/** Orders two texts by their UTF-8 bytes, as every database of Tidemark compares ids: negative, zero or positive. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return byteRank(left) - byteRank(right);
  }
  return a.length - b.length;
}

/** UTF-16 sorts surrogates below U+E000…U+FFFF; UTF-8 sorts the code points that they stand for above. */
function byteRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
