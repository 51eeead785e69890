import { type AnyConsumer, consume, type ConsumeResult, type EventSource, type Store } from "@tidemark/core";

/** Events from one store, effects and checkpoint in another: still exactly once. */
export function consumeFrom<Tx>(log: EventSource, state: Store<Tx>, consumer: AnyConsumer<Tx>): Promise<ConsumeResult> {
  return consume(state, consumer, { log });
}
