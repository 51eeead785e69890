import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestDatabase } from "./subject.ts";

/** What the parent tells a child to do. `tooth` names the law whose broken store the child uses. */
export interface Assignment {
  readonly module: string;
  readonly config: unknown;
  readonly script: string;
  readonly args: unknown;
  readonly tooth: string | undefined;
}

export type ChildMessage =
  | { readonly kind: "said"; readonly what: string; readonly value: unknown }
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: string };

/** Another process, running a script on the same database. */
export interface Child {
  /** The value of the next message `what` that the script says, or has said and nobody has heard yet. */
  hear(what: string): Promise<unknown>;
  /** Hands `what` to the script, which awaits it by `hear`. Nothing happens when the process is gone. */
  say(what: string, value?: unknown): void;
  /** What the script returned. Rejects when it threw or its process died. */
  result(): Promise<unknown>;
  /** Resolves once the process is gone, however it went: the signal that killed it, or undefined. */
  gone(): Promise<string | undefined>;
  /** SIGSTOP: the process stands still where it is. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** SIGKILL, and waits until the process is gone. */
  kill(): Promise<void>;
}

export interface SpawnOptions {
  readonly script: string;
  readonly args?: unknown;
  readonly tooth: string | undefined;
}

/** Starts a process on `database` through the built package, as a user's processes would be. */
export async function spawnChild<Tx>(database: TestDatabase<Tx>, options: SpawnOptions): Promise<Child> {
  if (database.process === undefined)
    throw new TypeError("This subject has no process hook; a law with [shared] needs it.");
  const { module, config } = database.process;
  const process = fork(fileURLToPath(new URL("./child.js", import.meta.url)), [], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    execArgv: [],
  });
  const child = new SpawnedChild(process);
  const assignment: Assignment = { module, config, script: options.script, args: options.args, tooth: options.tooth };
  process.send(assignment);
  return child;
}

class SpawnedChild implements Child {
  readonly #process: ChildProcess;
  readonly #said: { readonly what: string; readonly value: unknown }[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #gone: Promise<string | undefined>;
  #end: ChildMessage | undefined;
  /** How the process ended, once it has and all that it said has come. */
  #death: string | undefined;

  constructor(process: ChildProcess) {
    this.#process = process;
    // Of one that cannot be started or told anything, the end is what counts.
    process.on("error", () => undefined);
    this.#gone = new Promise((resolve) => {
      // Not "exit", which may overtake the last message.
      process.once("close", (code, signal) => {
        this.#death = signal === null ? `exit code ${String(code)}` : `signal ${signal}`;
        this.#notify();
        resolve(signal ?? undefined);
      });
    });
    process.on("message", (message: ChildMessage) => {
      if (message.kind === "said") this.#said.push(message);
      else this.#end = message;
      this.#notify();
    });
  }

  async hear(what: string): Promise<unknown> {
    for (;;) {
      const index = this.#said.findIndex((message) => message.what === what);
      if (index !== -1) return this.#said.splice(index, 1)[0]?.value;
      this.#throwIfFailed();
      if (this.#end !== undefined || this.#death !== undefined)
        throw new Error(`The process ended without saying "${what}" (${this.#death ?? "its script was done"}).`);
      await this.#change();
    }
  }

  say(what: string, value?: unknown): void {
    // It may be gone already, which whoever awaits something of it learns.
    this.#process.send({ what, value }, () => undefined);
  }

  async result(): Promise<unknown> {
    for (;;) {
      this.#throwIfFailed();
      if (this.#end?.kind === "done") return this.#end.value;
      if (this.#death !== undefined) throw new Error(`The process died before its script was done (${this.#death}).`);
      await this.#change();
    }
  }

  gone(): Promise<string | undefined> {
    return this.#gone;
  }

  pause(): void {
    this.#process.kill("SIGSTOP");
  }

  resume(): void {
    this.#process.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    if (this.#death === undefined) this.#process.kill("SIGKILL");
    await this.#gone;
  }

  #throwIfFailed(): void {
    if (this.#end?.kind === "failed") throw new Error(`The script failed in its process: ${this.#end.error}`);
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const listener = (): void => {
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
    });
  }
}
