import { isTransient, type Store, type StoreInTransaction } from "@tidemark/core";
import { deposit } from "../events.ts";
import { turn } from "../expect.ts";
import { mulberry32 } from "../random.ts";
import type { Script } from "../script.ts";

/** One writer of the storm. */
export interface StormWriter {
  readonly name: string;
  readonly seed: number;
  readonly rounds: number;
  /** How it ends: by itself, by its own hand inside a transaction, or by its parent's at any moment. */
  readonly end: "finishes" | "dies-inside" | "is-killed";
}

/** What a writer knows for certain, as event ids. What it does not know either way is in neither list. */
export interface StormReport {
  readonly committed: string[];
  readonly rolledBack: string[];
}

/** The aggregates of the storm: five of each writer, and three that all of them append to. */
export function stormAggregates(writers: readonly string[]): string[] {
  return [...writers.flatMap((name) => [0, 1, 2, 3, 4].map((n) => `${name}-${n}`)), "shared-0", "shared-1", "shared-2"];
}

export const orderScripts: Readonly<Record<string, Script>> = {
  /** Commits one append, then holds another one open for ever. */
  "order/append-and-hang": async ({ database, open, say, hear }) => {
    const store = await open();
    const { ids } = await store.append(deposit("child"));
    const transaction = await database.begin();
    await store.within(transaction.tx).append(deposit("lost", 3));
    say("open", ids);
    await hear("never");
    return undefined;
  },

  "order/storm": async ({ open, say, hear, die }, args) => {
    const writer = asStormWriter(args);
    const random = mulberry32(writer.seed);
    const store = await open();
    const report: StormReport = { committed: [], rolledBack: [] };
    say("ready");
    await hear("go");
    for (let round = 1; round <= writer.rounds; round++) {
      const isMiddle = round === Math.floor(writer.rounds / 2);
      if (isMiddle && writer.end === "is-killed") say("last words", report);
      if (isMiddle && writer.end === "dies-inside") {
        await store.transaction(async (_tx, within) => {
          report.rolledBack.push(...(await appendSome(within, writer, random)));
          say("last words", report);
          await hear("die");
          die();
        });
      }
      await writeOnce(store, writer, random, report);
    }
    return report;
  },
};

class RollBack extends Error {}

/** A plain append, or a transaction of a few with delays between them, which may be rolled back. */
async function writeOnce<Tx>(
  store: Store<Tx>,
  writer: StormWriter,
  random: () => number,
  report: StormReport,
): Promise<void> {
  const isPlain = random() < 0.4;
  const appends = 1 + Math.floor(random() * 3);
  const isRolledBack = random() < 0.3;
  const ids: string[] = [];
  try {
    if (isPlain) ids.push(...(await appendSome(store, writer, random)));
    else {
      await store.transaction(async (_tx, within) => {
        for (let n = 0; n < appends; n++) {
          ids.push(...(await appendSome(within, writer, random)));
          await turn(Math.floor(random() * 4));
        }
        if (isRolledBack) throw new RollBack();
      });
    }
    report.committed.push(...ids);
  } catch (error) {
    if (error instanceof RollBack) report.rolledBack.push(...ids);
    // A transient failure leaves open what became of it: the comparison at the end is about what is in the log.
    else if (!isTransient(error)) throw error;
  }
}

async function appendSome(
  store: Pick<StoreInTransaction, "append">,
  writer: StormWriter,
  random: () => number,
): Promise<readonly string[]> {
  const aggregates = stormAggregates([writer.name]);
  const aggregate = aggregates[Math.floor(random() * aggregates.length)] ?? writer.name;
  return (await store.append(deposit(aggregate, 1 + Math.floor(random() * 5)))).ids;
}

/** The argument crossed a process boundary; the law that sent it wrote one. */
function asStormWriter(args: unknown): StormWriter {
  return args as StormWriter;
}
