import type { LogScope } from "@tidemark/core/spi";

/** Whether the scope filters nothing. */
export function isWhole({ contexts, aggregateTypes, eventTypes, segments }: LogScope): boolean {
  return contexts.length === 0 && aggregateTypes.length === 0 && eventTypes.length === 0 && segments === 1;
}
