import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parsePosition, type Position, START, type Store } from "@tidemark/core";
import { Complaint } from "./complaint.ts";
import { type ConsumerProcess, type ConsumerSettings, startConsumer } from "./consumer-process.ts";

export interface CrashOptions {
  readonly store: Pick<Store<never>, "consumers" | "head">;
  readonly consumer: { readonly name: string; readonly version: number };
  readonly kills: number;
  readonly settings: ConsumerSettings;
}

export type CrashReport =
  /** Two processes run the same consumer: one holds the zone, the other is told that it is busy. */
  | { readonly kind: "busy"; readonly holder: string; readonly waiting: string }
  /** `position` is the checkpoint that the dead process has left. */
  | { readonly kind: "killed"; readonly name: string; readonly position: Position; readonly head: Position }
  | { readonly kind: "taken-over"; readonly name: string; readonly milliseconds: number }
  | { readonly kind: "finished"; readonly name: string; readonly position: Position; readonly head: Position };

interface Look {
  readonly position: Position;
  readonly owner: string | undefined;
  readonly head: Position;
}

/** Kills come before this share of the log, so that there is always something left to do. */
const LAST_KILL = 0.8;
/** Up to so long after a commit a kill comes: reading, handling, in the middle of a transaction, committing. */
const KILL_WITHIN_MS = 20;
const POLL_MS = 3;
/** When no checkpoint moves for so long, something is wrong. */
const PATIENCE_MS = 30_000;

/**
 * Consumes the whole log in processes that are killed at random moments, each time after more was committed than
 * before, and started again. The last one that is killed has a second beside it, which takes over.
 */
export async function consumeThroughCrashes(
  options: CrashOptions,
  report: (event: CrashReport) => void,
): Promise<void> {
  const { store, consumer, kills, settings } = options;
  const latestKill = Number(await store.head()) * LAST_KILL;
  const started: ConsumerProcess[] = [];
  try {
    for (let kill = 1; kill < kills; kill++) {
      const latest = await latestOf(kill);
      if (!(await killAfter(start(latest), latest))) break;
    }
    const latest = kills > 0 ? await latestOf(kills) : undefined;
    await finishWithTwo(start(latest), start(latest), latest);
  } finally {
    for (const process of started) if (!process.hasEnded) await process.kill();
  }

  function start(stopAt: Position | undefined): ConsumerProcess {
    const process = startConsumer(`${settings.consumer} ${started.length + 1}`, { ...settings, stopAt });
    started.push(process);
    return process;
  }

  /** By then a victim is killed. There it waits for us, should it be the faster one. */
  async function latestOf(kill: number): Promise<Position> {
    const { position } = await look();
    return parsePosition(`${Math.max(Number(position) + 1, Math.floor(latestKill * (kill / kills)))}`);
  }

  /** False when the process had finished before it could be killed. */
  async function killAfter(victim: ConsumerProcess, latest: Position): Promise<boolean> {
    const before = (await look()).position;
    const target = BigInt(randomInt(Number(before) + 1, Math.max(Number(before) + 2, Number(latest))));
    await until(victim, (now) => now.position >= target || now.position >= latest);
    await sleep(randomInt(KILL_WITHIN_MS));
    const wasKilled = (await victim.kill()).kind === "killed";
    await endOf(victim);
    const { position, head } = await look();
    report({ kind: wasKilled ? "killed" : "finished", name: victim.name, position, head });
    return wasKilled;
  }

  async function finishWithTwo(
    one: ConsumerProcess,
    other: ConsumerProcess,
    latest: Position | undefined,
  ): Promise<void> {
    const busy = new Set<ConsumerProcess>();
    for (const process of [one, other]) void process.says("busy").then(() => busy.add(process));
    // Lots decide who gets the only segment, so it may move once more when the second one comes.
    const { owner } = await until(
      one,
      (now) => (now.owner === one.name && busy.has(other)) || (now.owner === other.name && busy.has(one)),
    );
    const [holder, waiting] = owner === other.name ? [other, one] : [one, other];
    if (!waiting.hasEnded) report({ kind: "busy", holder: holder.name, waiting: waiting.name });
    if (latest !== undefined && (await killAfter(holder, latest))) {
      const killedAt = performance.now();
      await until(waiting, (now) => now.owner === waiting.name);
      report({ kind: "taken-over", name: waiting.name, milliseconds: performance.now() - killedAt });
    }
    waiting.goOn();
    for (const process of [holder, waiting]) {
      await until(process, () => false);
      await endOf(process);
    }
    const { position, head } = await look();
    report({ kind: "finished", name: waiting.name, position, head });
  }

  async function look(): Promise<Look> {
    const segment = (await store.consumers.get(consumer))?.segments[0];
    return { position: segment?.position ?? START, owner: segment?.owner, head: await store.head() };
  }

  /** Looks again and again, also until the process that is expected to act has ended. */
  async function until(actor: ConsumerProcess, reached: (now: Look) => boolean): Promise<Look> {
    let last = await look();
    let movedAt = performance.now();
    for (;;) {
      const now = await look();
      if (reached(now) || actor.hasEnded) return now;
      if (now.position > last.position) [last, movedAt] = [now, performance.now()];
      if (performance.now() - movedAt > PATIENCE_MS) {
        throw new Complaint(`${actor.name} got nowhere for ${PATIENCE_MS / 1000} seconds; checkpoint ${now.position}.`);
      }
      await sleep(POLL_MS);
    }
  }
}

/** Throws what a process failed for, if it did. */
async function endOf(process: ConsumerProcess): Promise<void> {
  const end = await process.ended;
  if (end.kind === "failed") throw new Complaint(`${process.name} failed: ${end.reason}`);
}
