import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What a consuming process tells the one that started it. */
export type ConsumerMessage =
  /** Somebody else holds the zone; it will ask again. */
  | { readonly kind: "busy" }
  /** It has caught up and ends. */
  | { readonly kind: "finished"; readonly handled: number; readonly position: string };

type ConsumerEnd = { readonly kind: "finished" | "killed" } | { readonly kind: "failed"; readonly reason: string };

export interface ConsumerSettings {
  readonly file: string;
  readonly fetchSize: number;
  readonly leaseMs: number;
  readonly pauseMs: number;
}

/** A process of its own that runs the projector once, until it has caught up. */
export interface ConsumerProcess {
  /** As which it holds the zone. */
  readonly name: string;
  /** Never rejects. */
  readonly ended: Promise<ConsumerEnd>;
  readonly hasEnded: boolean;
  /** Resolves when it says, from now on, that somebody else holds the zone. */
  refused(): Promise<void>;
  /** Without a word of warning: SIGKILL. Resolves when it is gone. */
  kill(): Promise<ConsumerEnd>;
}

const PROGRAM = fileURLToPath(new URL("./consume.js", import.meta.url));

export function startConsumer(name: string, settings: ConsumerSettings): ConsumerProcess {
  const { file, fetchSize, leaseMs, pauseMs } = settings;
  const args = ["--file", file, "--owner", name, "--fetch-size", `${fetchSize}`, "--lease-ms", `${leaseMs}`];
  // The channel is more than a way to talk: it closes when we die, however that happens, and then the child goes too.
  const child = fork(PROGRAM, [...args, "--pause-ms", `${pauseMs}`], {
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let hasEnded = false;
  const ended = endOf(child).finally(() => (hasEnded = true));
  return {
    name,
    ended,
    get hasEnded() {
      return hasEnded;
    },
    refused: () =>
      new Promise((resolve) => {
        const listen = (message: unknown): void => {
          if (!isMessage(message) || message.kind !== "busy") return;
          child.off("message", listen);
          resolve();
        };
        child.on("message", listen);
      }),
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
