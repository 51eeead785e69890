// The consuming process. The demo starts several of it and kills them; by itself:
//
//   node dist/consume.js [--consumer radar] [--version 2] [--file …]
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createSqliteStore } from "@tidemark/adapter-sqlite";
import { consume, type EventSource, formatPosition } from "@tidemark/core";
import { Complaint, runProgram } from "./complaint.ts";
import type { ConsumerMessage } from "./consumer-process.ts";
import { DEFAULT_FILE, existingFile } from "./database-file.ts";
import { consumerName, prepareConsumer } from "./consumers.ts";
import { wholeNumber } from "./options.ts";

/** How long to wait before asking again for a zone that somebody else holds. */
const RETRY_MS = 50;
/** How long to wait for being killed. */
const HOLD_MS = 60_000;

// When whoever started us is gone, by whatever signal, do not stay behind: it may have gone before we were here to
// listen. Listening for it is no reason to stay either.
if (process.send !== undefined && !process.connected) process.exit(1);
process.once("disconnect", () => process.exit(1));
process.channel?.unref();

await runProgram(async () => {
  const { values } = parseArgs({
    options: {
      file: { type: "string", default: DEFAULT_FILE },
      consumer: { type: "string", default: "radar" },
      version: { type: "string", default: "1" },
      owner: { type: "string", default: `process ${process.pid}` },
      "fetch-size": { type: "string", default: "500" },
      "lease-ms": { type: "string", default: "5000" },
      "pause-ms": { type: "string", default: "0" },
      "hold-after": { type: "string", default: "0" },
    },
  });
  const version = wholeNumber("version", values.version, 1);
  const fetchSize = wholeNumber("fetch-size", values["fetch-size"], 1);
  const leaseMs = wholeNumber("lease-ms", values["lease-ms"], 1);
  const pauseMs = wholeNumber("pause-ms", values["pause-ms"], 0);

  const holdAfter = wholeNumber("hold-after", values["hold-after"], 0);
  const file = existingFile(values.file);

  await using store = await createSqliteStore({ file });
  const define = await prepareConsumer(consumerName(values.consumer), { store, file, version, onWritten });
  let written = 0;
  const options = { owner: values.owner, fetchSize, leaseMs, log: unhurried(store, pauseMs) };
  for (;;) {
    const result = await consume(store, define(), options);
    switch (result.kind) {
      case "busy":
        tell({ kind: "busy" });
        await sleep(RETRY_MS);
        break;
      case "zone-lost":
        // We were too slow to renew our lease, and somebody else went on from our last commit. Stand in line again.
        break;
      case "caught-up":
        tell({ kind: "finished", handled: result.handled, position: formatPosition(result.position) });
        return 0;
      case "stopped":
        throw result.error;
      case "disabled":
        throw new Complaint("The consumer is disabled. Nothing in this demo does that.");
      case "limit":
      case "until":
      case "rejected":
      case "aborted":
        throw new Error(`Consuming ended with ${result.kind}, which nobody asked for.`);
    }
  }

  async function onWritten(): Promise<void> {
    written += 1;
    if (written !== holdAfter) return;
    tell({ kind: "holding" });
    await sleep(HOLD_MS);
  }
});

let saidBusy = false;

/** Tells whoever started us, or the terminal. */
function tell(message: ConsumerMessage): void {
  if (process.connected) process.send?.(message);
  else if (message.kind === "finished")
    console.log(`Handled ${message.handled} events, up to position ${message.position}.`);
  else if (message.kind === "busy" && !saidBusy) {
    saidBusy = true;
    console.log("Somebody else runs this consumer. Waiting for the zone.");
  }
}

/** The log, read with a pause before each page: on so little data consuming is over before anybody could watch it. */
function unhurried(log: EventSource, pauseMs: number): EventSource {
  if (pauseMs === 0) return log;
  return {
    logId: log.logId,
    head: (options) => log.head(options),
    wait: (after, options) => log.wait(after, options),
    readAll: async (options) => {
      await sleep(pauseMs);
      return log.readAll(options);
    },
  };
}
