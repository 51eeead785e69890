import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { formatPosition, type Position } from "@tidemark/core";
import type { ConsumerName } from "./consumers.ts";

/** What a consuming process tells the one that started it. */
export type ConsumerMessage =
  /** Somebody else holds the zone; it will ask again. */
  | { readonly kind: "busy" }
  /** It has done `--hold-after` effects, and waits to be killed before the last of them counts as done. */
  | { readonly kind: "holding" }
  /** It has caught up and ends. */
  | { readonly kind: "finished"; readonly handled: number; readonly position: string };

type ConsumerEnd = { readonly kind: "finished" | "killed" } | { readonly kind: "failed"; readonly reason: string };

export interface ConsumerSettings {
  readonly file: string;
  readonly consumer: ConsumerName;
  /** Observers only. Default: never. */
  readonly holdAfter?: number | undefined;
  /** Reads no further once it is here, until it is told to go on: it must not finish before it was killed. Default: never. */
  readonly stopAt?: Position | undefined;
  readonly fetchSize: number;
  readonly leaseMs: number;
  readonly pauseMs: number;
}

/** A process of its own that runs a consumer once, until it has caught up. */
export interface ConsumerProcess {
  /** As which it holds the zone. */
  readonly name: string;
  /** Never rejects. */
  readonly ended: Promise<ConsumerEnd>;
  readonly hasEnded: boolean;
  /** Resolves when it says so, from now on: `"busy"`, that somebody else holds the zone; `"holding"`, that it waits. */
  says(kind: "busy" | "holding"): Promise<void>;
  /** From now on `stopAt` holds it no more. */
  goOn(): void;
  /** Without a word of warning: SIGKILL. Resolves when it is gone. */
  kill(): Promise<ConsumerEnd>;
}

/** The log is consumed in about so many transactions, whatever its size, so that there is time to be killed. */
const BATCHES = 200;
/** Events in each, at least. */
const LEAST = 20;
const PAUSE_MS = 6;
/** Short, so that nobody waits long for the zone of a process that is dead. */
const LEASE_MS = 400;

/** Settings with which there is time to be killed, and nobody waits long afterwards. */
export function unhurried(what: Pick<ConsumerSettings, "file" | "consumer">, head: Position): ConsumerSettings {
  return {
    ...what,
    leaseMs: LEASE_MS,
    pauseMs: PAUSE_MS,
    fetchSize: Math.max(LEAST, Math.ceil(Number(head) / BATCHES)),
  };
}

const PROGRAM = fileURLToPath(new URL("./consume.js", import.meta.url));

export function startConsumer(name: string, settings: ConsumerSettings): ConsumerProcess {
  const { file, consumer, fetchSize, leaseMs, pauseMs, holdAfter = 0, stopAt } = settings;
  const args = [
    "--file",
    file,
    "--consumer",
    consumer,
    "--owner",
    name,
    "--fetch-size",
    `${fetchSize}`,
    "--lease-ms",
    `${leaseMs}`,
    "--pause-ms",
    `${pauseMs}`,
    "--hold-after",
    `${holdAfter}`,
    ...(stopAt === undefined ? [] : ["--stop-at", formatPosition(stopAt)]),
  ];
  // The channel is more than a way to talk: it closes when we die, however that happens, and then the child goes too.
  const child = fork(PROGRAM, args, { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let hasEnded = false;
  const ended = endOf(child).finally(() => (hasEnded = true));
  return {
    name,
    ended,
    get hasEnded() {
      return hasEnded;
    },
    says: (kind) =>
      new Promise((resolve) => {
        const listen = (message: unknown): void => {
          if (!isMessage(message) || message.kind !== kind) return;
          child.off("message", listen);
          resolve();
        };
        child.on("message", listen);
      }),
    goOn: () => {
      // It may be gone already.
      if (child.connected) child.send("go on", () => undefined);
    },
    kill: () => {
      child.kill("SIGKILL");
      return ended;
    },
  };
}

function endOf(child: ChildProcess): Promise<ConsumerEnd> {
  return new Promise((resolve) => {
    let complaints = "";
    child.stderr?.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
    child.on("error", (error) => resolve({ kind: "failed", reason: error.message }));
    child.on("close", (code, signal) => {
      if (code === 0) resolve({ kind: "finished" });
      else if (signal === "SIGKILL") resolve({ kind: "killed" });
      else resolve({ kind: "failed", reason: complaints.trim() || `It ended with ${signal ?? `exit code ${code}`}.` });
    });
  });
}

function isMessage(message: unknown): message is ConsumerMessage {
  return typeof message === "object" && message !== null && "kind" in message;
}
