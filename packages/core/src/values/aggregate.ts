import { utf8, utf8Length } from "./text.ts";

/** An aggregate is a triple: two aggregates with the same id under different types or contexts never meet. */
export interface AggregateRef {
  readonly context: string;
  readonly type: string;
  readonly id: string;
}

/** An aggregate as callers name it: `context` is `"default"` when absent. */
export interface AggregateInput {
  readonly context?: string | undefined;
  readonly type: string;
  readonly id: string;
}

export const DEFAULT_CONTEXT = "default";

/** The number of buckets that the aggregates of a log are spread over. Part of the stored format. */
export const BUCKETS = 1024;

/** One string for one aggregate, unambiguous because NUL is refused in all three parts. For maps in memory only. */
export function aggregateKey(ref: AggregateRef): string {
  return `${ref.context}\0${ref.type}\0${ref.id}`;
}

/**
 * The bucket of an aggregate, 0 … 1023: FNV-1a-32 over context, type and id in this order, each as the four bytes of
 * its UTF-8 length (big-endian) followed by its UTF-8 bytes; of the hash the lowest ten bits. Stored with each event,
 * the same on every database: part of the format, pinned by golden values in the conformance suite.
 */
export function bucketOf(ref: AggregateRef): number {
  return hashPart(hashPart(hashPart(0x811c9dc5, ref.context), ref.type), ref.id) & (BUCKETS - 1);
}

/** The segment, 0 … `segments - 1`, that a bucket belongs to. `segments` is a power of two, at most 1024. */
export function segmentOf(bucket: number, segments: number): number {
  return bucket & (segments - 1);
}

function hashPart(seed: number, text: string): number {
  const length = utf8Length(text);
  let hash = seed;
  for (let shift = 24; shift >= 0; shift -= 8) hash = fnv1a(hash, (length >>> shift) & 0xff);
  if (length === text.length) {
    // All ASCII: its code units are its bytes.
    for (let index = 0; index < length; index++) hash = fnv1a(hash, text.charCodeAt(index));
  } else {
    for (const byte of utf8(text)) hash = fnv1a(hash, byte);
  }
  return hash;
}

function fnv1a(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}
