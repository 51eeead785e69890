import { isTidemarkError, type Store } from "@tidemark/core";

export async function openAccount<Tx>(store: Store<Tx>, id: string, owner: string): Promise<number> {
  const { last } = await store.append({
    aggregate: { context: "banking", type: "account", id },
    expected: "none", // NoStream; "any" is Any, a number is Exact
    events: [{ type: "account-opened", data: { owner } }],
  });
  return last; // ToVersion
}

/** Decides on what was read, and decides again when somebody else was faster. */
export async function withdraw<Tx>(store: Store<Tx>, id: string, amount: number): Promise<"done" | "refused"> {
  const aggregate = { context: "banking", type: "account", id };
  for (;;) {
    let version = 0;
    let balance = 0;
    for await (const event of store.readAggregate(aggregate)) {
      version = event.version;
      const { amount: moved = 0 } = event.data as { amount?: number };
      balance += event.type === "withdrawn" ? -moved : moved;
    }
    if (balance < amount) return "refused";
    try {
      await store.append({ aggregate, expected: version, events: [{ type: "withdrawn", data: { amount } }] });
      return "done";
    } catch (error) {
      if (!isTidemarkError(error, "VERSION_CONFLICT")) throw error; // ErrOptimisticConcurrency
    }
  }
}
