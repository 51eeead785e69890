import { setTimeout as sleep } from "node:timers/promises";
import { readAnnouncements } from "./announcements.ts";
import { Complaint } from "./complaint.ts";
import { type ConsumerProcess, type ConsumerSettings, startConsumer } from "./consumer-process.ts";

export interface AnnouncingOptions {
  /** Where the observer writes. */
  readonly announcements: string;
  readonly kills: number;
  readonly settings: ConsumerSettings;
}

export interface AnnouncingKill {
  readonly name: string;
  /** The last line in the file when it was killed. */
  readonly line: string;
}

/** When it has neither ended nor written what was expected for so long, something is wrong. */
const PATIENCE_MS = 30_000;

/**
 * Runs an observer in processes that are killed where it hurts: a line is in the file, and nobody knows yet that its
 * event is done. After `settings.holdAfter` lines a process waits there for it. The last one is left in peace.
 */
export async function announceThroughCrashes(
  { announcements, kills, settings }: AnnouncingOptions,
  report: (kill: AnnouncingKill) => void,
): Promise<void> {
  for (let run = 1; run <= kills + 1; run++) {
    const holdAfter = run <= kills ? settings.holdAfter : undefined;
    const process = startConsumer(`${settings.consumer} ${run}`, { ...settings, holdAfter });
    try {
      await Promise.race([process.says("holding"), process.ended, outOfPatience(process)]);
    } finally {
      if (!process.hasEnded) await process.kill();
    }
    const end = await process.ended;
    if (end.kind === "failed") throw new Complaint(`${process.name} failed: ${end.reason}`);
    if (end.kind === "finished") return;
    report({ name: process.name, line: readAnnouncements(announcements).at(-1) ?? "" });
  }
}

async function outOfPatience(process: ConsumerProcess): Promise<never> {
  await sleep(PATIENCE_MS, undefined, { ref: false });
  throw new Complaint(`${process.name} did not come to an end for ${PATIENCE_MS / 1000} seconds.`);
}
