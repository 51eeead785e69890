import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Place } from "./shop.ts";

export interface FleetOptions {
  readonly place: Place;
  readonly brokerUrl: string;
  readonly size: number;
  /** Of the first one, the others follow. Default: whichever are free. */
  readonly port?: number | undefined;
  /** Is given each line that a process prints. */
  readonly say: (line: string) => void;
}

/** A process that serves requests and has a worker in it. */
export interface Service {
  readonly name: string;
  readonly url: string;
  /** Or was told to, and will in a moment. */
  readonly hasEnded: boolean;
  /** Without a word of warning: SIGKILL. */
  kill(): void;
  /** SIGTERM. Resolves with the exit code when it has drained, null when a signal ended it. */
  stop(): Promise<number | null>;
}

const PROGRAM = fileURLToPath(new URL("../dist/service.js", import.meta.url));

/** Starts the processes, and resolves when all are ready. */
export async function startFleet({ size, ...options }: FleetOptions): Promise<readonly Service[]> {
  const starting = Array.from({ length: size }, (_, index) => startService(index, options));
  const fleet = await Promise.all(starting);
  await until("all are ready", async () => (await Promise.all(fleet.map(isReady))).every(Boolean));
  return fleet;
}

/** How many segments of its consumers a process has. */
export async function segmentsOf({ url }: Service): Promise<readonly { name: string; segments: number[] }[]> {
  const response = await fetch(`${url}/ready`);
  return asReadiness(await response.json()).consumers;
}

/** Looks again and again. Rejects when `what` is not so after `timeoutMs`. */
export async function until(what: string, look: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1_000} s in vain until ${what}.`);
    await sleep(25);
  }
}

async function startService(index: number, options: Omit<FleetOptions, "size">): Promise<Service> {
  const { place, brokerUrl, port, say } = options;
  const name = `service-${index + 1}`;
  const { TIDEMARK_POSTGRES_URL: _, ...inherited } = process.env;
  const where = place.kind === "sqlite" ? { ORDERS_FILE: place.file } : { TIDEMARK_POSTGRES_URL: place.url };
  const PORT = port === undefined ? "0" : `${port + index}`;
  const child = fork(PROGRAM, [], {
    env: { ...inherited, ...where, PORT, SERVICE_NAME: name, BROKER_URL: brokerUrl },
    execArgv: [],
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  child.stdout?.on("data", (chunk: Buffer) => {
    for (const line of chunk.toString().trimEnd().split("\n")) say(`${name}  ${line}`);
  });
  const exit = once(child, "close").then(() => child.exitCode);
  const greeting = new Promise<unknown>((resolve) => child.once("message", resolve));
  const message = await Promise.race([greeting, exit.then(() => ended(name))]);
  return {
    name,
    url: asGreeting(message).url,
    get hasEnded() {
      return hasEnded(child);
    },
    kill: () => void child.kill("SIGKILL"),
    stop: () => {
      child.kill("SIGTERM");
      return exit;
    },
  };
}

async function isReady({ name, url, hasEnded }: Service): Promise<boolean> {
  if (hasEnded) ended(name);
  return (await fetch(`${url}/ready`)).ok;
}

function hasEnded(child: ChildProcess): boolean {
  return child.killed || child.exitCode !== null || child.signalCode !== null;
}

function ended(name: string): never {
  throw new Error(`${name} ended before it was ready.`);
}

function asGreeting(message: unknown): { readonly url: string } {
  return message as { readonly url: string };
}

function asReadiness(body: unknown): { readonly consumers: readonly { name: string; segments: number[] }[] } {
  return body as { readonly consumers: readonly { name: string; segments: number[] }[] };
}
