import { createHash } from "node:crypto";
import type { Association } from "@tidemark/core/spi";

/**
 * What an index keeps of an association, whose texts may be longer than an index entry can be: SHA-256 over property
 * and value, which both have their length before them.
 */
export function digestOf({ property, value }: Association): Buffer {
  const hash = createHash("sha256");
  for (const text of [property, value]) hash.update(`${Buffer.byteLength(text)}:`).update(text);
  return hash.digest();
}
