import { AssertionError } from "node:assert";
import { consume, createConsumerStateStore, openStore, runInZone, type Store } from "@tidemark/core";
import type { Adapter } from "@tidemark/core/spi";
import { withPatience } from "./expect.ts";
import type { Bench, Change, Law, Site, Tooth } from "./law.ts";
import { type Child, spawnChild } from "./processes.ts";
import type { Subject, TestDatabase } from "./subject.ts";

/** What became of a law. `error`: it could not be judged, because something else went wrong. */
export type Verdict =
  | { readonly kind: "holds" }
  | { readonly kind: "broken"; readonly how: string; readonly where: string }
  | { readonly kind: "error"; readonly error: unknown };

const DEFAULT_TIMEOUT_MS = 540_000;

export interface JudgeOptions {
  /** Runs the law against this broken store instead of the real one. */
  readonly tooth?: Tooth | undefined;
  /** Default 540 000. A law that takes longer is broken: something hangs. */
  readonly timeoutMs?: number | undefined;
}

/** Runs one law against a fresh database of the subject, and leaves nothing behind. */
export async function judge<Tx>(law: Law, subject: Subject<Tx>, options: JudgeOptions = {}): Promise<Verdict> {
  const databases: TestDatabase<Tx>[] = [];
  const stores: Store<Tx>[] = [];
  const children: Child[] = [];
  const { tooth } = options;
  const another = async (): Promise<Site<Tx>> => {
    const database = await subject.create();
    databases.push(database);
    const adapter = (change: Change<Tx> = unchanged): Adapter<Tx> => {
      const real = change(database.adapter());
      return tooth?.adapter?.(real) ?? real;
    };
    return {
      database,
      adapter: () => adapter(),
      open: async (storeOptions, change) => {
        const real = await openStore(adapter(change), storeOptions);
        stores.push(real);
        return tooth?.store?.(real) ?? real;
      },
      spawn: async (script, args) => {
        const child = await spawnChild(database, { script, args, tooth: tooth === undefined ? undefined : law.id });
        children.push(child);
        return child;
      },
    };
  };
  try {
    const site = await another();
    const bench: Bench<Tx> = {
      ...site,
      capabilities: subject.capabilities,
      store: await site.open(),
      consume: tooth?.consume ?? consume,
      runInZone: tooth?.runInZone ?? runInZone,
      stateStore: tooth?.stateStore ?? createConsumerStateStore,
      another,
    };
    const check = (): Promise<void> => law.check(bench);
    const checking = tooth === undefined ? check() : withPatience(PATIENCE_WITH_LIES, check);
    await withTimeout(checking, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, law);
    return { kind: "holds" };
  } catch (error) {
    if (error instanceof AssertionError) return { kind: "broken", how: error.message, where: whereOf(error) };
    return { kind: "error", error };
  } finally {
    await Promise.all(children.map((child) => child.kill()));
    await settleWithin(Promise.allSettled(stores.map((store) => store.close())), CLEAN_UP_MS);
    await Promise.all(databases.map((database) => database.drop()));
  }
}

const CLEAN_UP_MS = 5_000;
/** Of what a store that is not broken is given, for answers that should be there in milliseconds. */
const PATIENCE_WITH_LIES = 0.1;

function unchanged<Tx>(real: Adapter<Tx>): Adapter<Tx> {
  return real;
}

/** A broken store may not be closable; what is left of it goes with its database. */
async function settleWithin(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

/** Where in the law it was found: the calls that led there, without those of Node itself. */
function whereOf({ stack = "" }: Error): string {
  const calls = stack.split("\n").filter((line) => /^ +at /.test(line) && !/\(node:|at node:/.test(line));
  return calls.slice(0, FEW_CALLS).join("\n");
}

const FEW_CALLS = 5;

async function withTimeout(work: Promise<void>, ms: number, law: Law): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const message = `${law.id} was not decided within ${ms} ms: something hangs.`;
    timer = setTimeout(() => reject(new AssertionError({ message })), ms);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
