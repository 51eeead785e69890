import { isTransient, type Store, type StoreInTransaction } from "@tidemark/core";
import { deposit } from "../events.ts";
import { turn } from "../expect.ts";
import { mulberry32 } from "../random.ts";
import { argsOf, type Script, type ScriptBench } from "../script.ts";

/** One writer of the long storm, which writes until it is told that it is enough, or killed. */
export interface LongWriter {
  readonly name: string;
  readonly seed: number;
  /** So many callers at once, which share the process's batches. */
  readonly callers: number;
  /** Whether transactions that the library has not begun may be open beside its own. */
  readonly beginsItself: boolean;
}

/** What became certain since the writer reported last, as event ids. */
export interface LongReport {
  readonly committed: readonly string[];
  readonly rolledBack: readonly string[];
}

const REPORT_MS = 20;

/** The aggregates of the long storm: thirty of each writer, and three that all of them append to. */
export function longStormAggregates(writers: readonly string[]): readonly string[] {
  const own = writers.flatMap((name) => Array.from({ length: 30 }, (_, n) => `${name}-${n}`));
  return [...own, "shared-0", "shared-1", "shared-2"];
}

export const stormScripts: Readonly<Record<string, Script>> = {
  "storm/writer": async (bench, args) => {
    const { name, seed, callers, beginsItself } = argsOf<LongWriter>(args);
    const { open, say, hear } = bench;
    const store = await open();
    let certain = emptyReport();
    let reportedAt = performance.now();
    let isEnough = false;
    void hear("enough").then(() => (isEnough = true));

    const write = async (caller: number): Promise<void> => {
      const random = mulberry32(seed + caller * 7_919);
      const writer = createWriter(bench, store, longStormAggregates([name]), random, beginsItself);
      while (!isEnough) {
        const { committed, rolledBack } = await writer();
        certain.committed.push(...committed);
        certain.rolledBack.push(...rolledBack);
        if (performance.now() - reportedAt < REPORT_MS) continue;
        say("so far", certain);
        certain = emptyReport();
        reportedAt = performance.now();
      }
    };
    await Promise.all(Array.from({ length: callers }, (_, caller) => write(caller)));
    say("so far", certain);
    return undefined;
  },
};

function emptyReport(): { readonly committed: string[]; readonly rolledBack: string[] } {
  return { committed: [], rolledBack: [] };
}

/** Writes once, in one of several ways; what it does not know either way it does not tell. */
function createWriter<Tx>(
  bench: ScriptBench<Tx>,
  store: Store<Tx>,
  aggregates: readonly string[],
  random: () => number,
  beginsItself: boolean,
): () => Promise<LongReport> {
  const below = (limit: number): number => Math.floor(random() * limit);
  const some = (count: number): readonly string[] => {
    const chosen = Array.from({ length: count }, () => aggregates[below(aggregates.length)] ?? "shared-0");
    // A few against the order, in which they wait for each other in a circle.
    return random() < 0.05 ? chosen : chosen.toSorted();
  };
  const append = async (at: Pick<StoreInTransaction, "append">, id: string): Promise<readonly string[]> =>
    (await at.append(deposit(id, random() < 0.1 ? 40 : 1 + below(5)))).ids;

  async function plainly(): Promise<LongReport> {
    const [one = "shared-0", other = "shared-1"] = some(2);
    if (one === other || random() < 0.8) return { committed: await append(store, one), rolledBack: [] };
    const results = await store.appendAll([deposit(one, 1 + below(3)), deposit(other, 1 + below(3))]);
    return { committed: results.flatMap(({ ids }) => ids), rolledBack: [] };
  }

  async function inTransaction(): Promise<LongReport> {
    const ids: string[] = [];
    const isRolledBack = random() < 0.25;
    try {
      await store.transaction(async (_tx, within) => {
        for (const id of some(1 + below(3))) {
          ids.push(...(await append(within, id)));
          await turn(below(5));
        }
        if (isRolledBack) throw new RollBack();
      });
      return { committed: ids, rolledBack: [] };
    } catch (error) {
      if (error instanceof RollBack) return { committed: [], rolledBack: ids };
      throw error;
    }
  }

  async function inOwnTransaction(): Promise<LongReport> {
    const transaction = await bench.database.begin();
    const kept: string[] = [];
    const undone: string[] = [];
    const appendInside = async (ids: string[], id: string): Promise<void> => {
      // The turn keeps core's mark of being inside the transaction with this call.
      await turn(below(4));
      ids.push(...(await append(store.within(transaction.tx), id)));
    };
    try {
      const chosen = some(3);
      if (random() < 0.5) await appendInside(kept, chosen[0] ?? "shared-0");
      const undo = await transaction.savepoint?.();
      const isUndone = undo !== undefined && random() < 0.5;
      await appendInside(isUndone ? undone : kept, chosen[1] ?? "shared-1");
      if (isUndone) await undo();
      if (random() < 0.7) await appendInside(kept, chosen[2] ?? "shared-2");
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
    const how = random();
    if (how < 0.7) {
      await transaction.commit();
      return { committed: kept, rolledBack: undone };
    }
    await (how < 0.95 ? transaction.rollback() : transaction.kill());
    return { committed: [], rolledBack: [...kept, ...undone] };
  }

  return async () => {
    const way = random();
    try {
      if (way < 0.85) return await plainly();
      // A connection for each: dear.
      return await (way < 0.98 || !beginsItself ? inTransaction() : inOwnTransaction());
    } catch (error) {
      // It leaves open what became of the write: the comparison at the end is about what is in the log.
      if (isTransient(error)) return emptyReport();
      throw error;
    }
  };
}

class RollBack extends Error {}
