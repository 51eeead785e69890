import type { SqliteStore, SqliteTransaction } from "@tidemark/adapter-sqlite";
import { type ConsumerStateStore, createConsumerStateStore, type Executor } from "@tidemark/core";

export function createState(store: SqliteStore, executor: Executor): ConsumerStateStore<SqliteTransaction> {
  return createConsumerStateStore(store, {
    executor, // runs observers' handlers
    observe: ({ consumer, event, durationMs, outcome }) =>
      console.log(`${consumer.name}: ${event.type} ${outcome} in ${durationMs.toFixed(1)} ms`),
    failure: { attempts: 3, then: "park" },
  });
}
