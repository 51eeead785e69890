import type { SqliteTransaction } from "@tidemark/adapter-sqlite";
import type { RecordedEvent, ScopedConsumer, TransactionalContext } from "@tidemark/core";

/** A `Consumer` is the same without `aggregateTypes` and `contexts`, and gets every event. */
export class Balances implements ScopedConsumer<SqliteTransaction> {
  readonly name: string = "balances";
  readonly aggregateTypes: readonly string[] = ["account"];
  readonly contexts: readonly string[] = ["banking"];

  handle({ type, data, aggregate }: RecordedEvent, { tx }: TransactionalContext<SqliteTransaction>): void {
    const { amount = 0 } = data as { amount?: number };
    tx.prepare("insert into balance values (?, ?) on conflict do update set amount = amount + excluded.amount").run(
      aggregate.id,
      type === "withdrawn" ? -amount : amount,
    );
  }
}
