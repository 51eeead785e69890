// The consuming process. The demo starts several of it and kills them; by itself:
//
//   node dist/consume.js [--consumer radar] [--version 2] [--file …]
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createSqliteStore } from "@tidemark/adapter-sqlite";
import { type EventSource, formatPosition, parsePosition, type Position, START } from "@tidemark/core";
import { createWorker, type Worker } from "@tidemark/worker";
import { Complaint, runProgram } from "./complaint.ts";
import type { ConsumerMessage } from "./consumer-process.ts";
import { DEFAULT_FILE, existingFile } from "./database-file.ts";
import { consumerName, prepareConsumer } from "./consumers.ts";
import { wholeNumber } from "./options.ts";

/** How often to look for what others do, such as one that holds the zone and may be dead. */
const POLL_MS = 50;
/** How often to ask the worker how it is. That costs no query. */
const WATCH_MS = 5;
/** How long to wait for being killed. */
const HOLD_MS = 60_000;

/** Whether we were told to, which is the only thing that we are ever told. */
let goesOn = false;
process.once("message", () => (goesOn = true));

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
      "stop-at": { type: "string" },
    },
  });
  const version = wholeNumber("version", values.version, 1);
  const fetchSize = wholeNumber("fetch-size", values["fetch-size"], 1);
  const leaseMs = wholeNumber("lease-ms", values["lease-ms"], 1);
  const pauseMs = wholeNumber("pause-ms", values["pause-ms"], 0);

  const holdAfter = wholeNumber("hold-after", values["hold-after"], 0);
  const stopAt = values["stop-at"] === undefined ? undefined : parsePosition(values["stop-at"]);
  const file = existingFile(values.file);

  await using store = await createSqliteStore({ file });
  const consumer = await prepareConsumer(consumerName(values.consumer), { store, file, version, onWritten });
  let written = 0;
  let handled = 0;
  const worker = createWorker(store, {
    name: values.owner,
    consumers: [{ consumer, log: unhurried(stopping(store, stopAt), pauseMs) }],
    fetchSize,
    leaseMs,
    memberLeaseMs: leaseMs,
    poll: { maxMs: POLL_MS },
    observe: ({ outcome }) => {
      if (outcome === "handled") handled += 1;
    },
  });
  const running = worker.run();
  const position = await Promise.race([caughtUp(worker, store), running.then(() => undefined)]);
  await worker.drain();
  if (position === undefined) throw new Error("The worker ended, which nobody asked for.");
  tell({ kind: "finished", handled, position: formatPosition(position) });
  return 0;

  async function onWritten(): Promise<void> {
    written += 1;
    if (written !== holdAfter) return;
    tell({ kind: "holding" });
    await sleep(HOLD_MS);
  }
});

/** Watches a worker of one consumer with one segment. Resolves with where it stands when nothing is left to do. */
async function caughtUp(worker: Worker, log: EventSource): Promise<Position> {
  for (let wasBusy = false; ; await sleep(WATCH_MS)) {
    const [consumer] = worker.status().consumers;
    const [segment] = consumer?.segments ?? [];
    if (consumer === undefined || segment === undefined) continue;
    if (segment.state === "stopped") throw new Error(`It stopped at an event. ${segment.error ?? ""}`);
    if (segment.state === "paused") throw new Complaint("The consumer is disabled. Nothing in this demo does that.");
    // There is one segment and it goes to one of us; who has none waits for the other one to finish, or to die.
    const isBusy = consumer.share === 0 && segment.state === "elsewhere";
    if (isBusy && !wasBusy) tell({ kind: "busy" });
    wasBusy = isBusy;
    const { position, lag } = segment;
    if (position === undefined) continue;
    // A version that is not the active one is done when it has got as far as that one.
    if (!consumer.active && consumer.rebuild?.remaining === 0n) return position;
    // What the worker knows of the head may be a moment old.
    if (lag === 0n && position >= (await log.head())) return position;
  }
}

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

/** The log, which looks as if it ended there until we are told to go on. */
function stopping(log: EventSource, stopAt: Position | undefined): EventSource {
  if (stopAt === undefined) return log;
  return {
    logId: log.logId,
    head: (options) => log.head(options),
    wait: (after, options) => log.wait(after, options),
    readAll: async (options = {}) => {
      const { after = START } = options;
      return after < stopAt || goesOn ? log.readAll(options) : { events: [], next: after };
    },
  };
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
