import { appendFileSync, existsSync, readFileSync, truncateSync } from "node:fs";
import { defineObserver, formatPosition, type Observer, parsePosition, type Position, START } from "@tidemark/core";
import type { RadarEvents } from "./events.ts";

export interface AnnouncementOptions {
  /** Where each new major gets a line. */
  readonly file: string;
  /** Whether to look first which announcements are there already. */
  readonly once: boolean;
  /** Called when a line is written, before the event counts as handled. What it returns is awaited. */
  readonly onWritten?: (() => Promise<void>) | undefined;
}

/** Where a major is a date, as in 20240317.0.0, it announces nothing. */
const NEW_MAJOR = /^[1-9]\d{0,3}\.0\.0$/;

/**
 * The observer that announces each new major in a file. A file knows nothing of transactions: between writing a line and
 * remembering that it was written a process can die, and then the event comes again. That is "at least once".
 *
 * To write each line once, the line itself says which event it is of: it begins with the position, and whoever goes on
 * writes nothing up to the position of the last line. For this to be right, two things have to be so:
 * - Lines are in the order of positions: `concurrency: 1`. With more, 8 may be written before 7; when the process dies
 *   in between, the last line says 8, and 7 would be taken for done.
 * - No event is left out to come later: `then: "stop"`. One that was parked and tried again would find a later position
 *   in the last line, and never be written.
 */
export function defineAnnouncements({ file, once, onWritten }: AnnouncementOptions): Observer {
  return defineObserver<RadarEvents>({
    name: once ? "announcements" : "announcements-carefree",
    start: "beginning",
    concurrency: 1,
    failure: { then: "stop" },
    handlers: {
      "release-published": async (event) => {
        const { position, occurredOn, aggregate, data } = event;
        if (!NEW_MAJOR.test(data.version)) return;
        // Read now, not before: while we handle an event the zone is ours, and nobody else writes.
        if (once && position <= lastPosition(file)) return;
        const day = occurredOn.toISOString().slice(0, 10);
        appendFileSync(file, `${formatPosition(position)} ${day} ${aggregate.id} ${data.version}\n`);
        await onWritten?.();
      },
    },
  });
}

/** The lines of an announcements file. */
export function readAnnouncements(file: string): readonly string[] {
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
}

/** Of the last announcement. One that was cut off by a crash is no announcement: it is taken away. */
function lastPosition(file: string): Position {
  if (!existsSync(file)) return START;
  const text = readFileSync(file);
  const end = text.lastIndexOf("\n") + 1;
  if (end < text.length) truncateSync(file, end);
  const lastLine = text.subarray(0, end).toString().trimEnd().split("\n").at(-1);
  return lastLine ? parsePosition(lastLine.split(" ")[0] ?? "") : START;
}
