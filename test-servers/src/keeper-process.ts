// What `keeper.ts` starts: waits until its input ends, then removes what it was told to. Each line of the input is the
// id of the process that has to end first; the last one counts. usage: keeper-process.js <folder | container> <name>
import { readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const POLITE_MS = 5_000;

// It ends when its work is done, and not before.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const [, , kind, name = ""] = process.argv;
let pid = 0;
for await (const line of createInterface({ input: process.stdin })) pid = Number(line);
if (pid > 0) await end(pid);
if (kind === "container") await removeContainer(name);
if (kind === "folder") await rm(name, { recursive: true, force: true, maxRetries: 10 });

/** SIGQUIT ends a database server at once, and it ends its own processes. */
async function end(pid: number): Promise<void> {
  for (const signal of ["SIGQUIT", "SIGKILL"] as const) {
    const deadline = performance.now() + POLITE_MS;
    send(pid, signal);
    while (performance.now() < deadline) {
      if (isGone(pid)) return;
      await sleep(20);
    }
  }
}

/** To the group which that process leads, where there are groups. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === "win32" ? pid : -pid, signal);
  } catch {
    // It has ended.
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // Ended, and nobody has asked how: its parent is gone, and some containers have no init that would ask.
    return process.platform === "linux" && hasOnlyEnded(pid);
  } catch {
    return true;
  }
}

/** Its first thread may have ended before the others. */
function hasOnlyEnded(pid: number): boolean {
  const isEnded = /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  return isEnded && readdirSync(`/proc/${pid}/task`).length <= 1;
}

async function removeContainer(name: string): Promise<void> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  const { container: containers } = await getContainerRuntimeClient();
  try {
    await containers.getById(name).remove({ force: true, v: true });
  } catch (error) {
    // It never came to be.
    if (!(typeof error === "object" && error !== null && "statusCode" in error && error.statusCode === 404))
      throw error;
  }
}
