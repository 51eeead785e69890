import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

export interface Keeper {
  /** The process that has to end first, if there is one. */
  readonly watch: (pid: number | undefined) => void;
  /** Ends and removes all of it; settles when it is gone. May be called twice. */
  readonly clean: () => Promise<void>;
}

/**
 * A process of its own that removes a folder or a container of ours as soon as the pipe between us closes: because we say
 * so, or because we ended, be it by a signal that nobody can catch. Nothing else cleans up, so that this is well tried.
 */
export function keep(kind: "folder" | "container", name: string): Keeper {
  const program = fileURLToPath(new URL("./keeper-process.js", import.meta.url));
  // Detached: Ctrl-C is sent to everyone who shares our terminal.
  const keeper = spawn(process.execPath, [program, kind, name], {
    cwd: tmpdir(),
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
  });
  const { stdin, stderr } = keeper;
  stdin.on("error", () => {});
  let complaint = "";
  stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  const done = once(keeper, "close").then(
    ([code]: (number | null)[]) => code,
    (error: unknown) => String(error),
  );
  // It shall not keep us from ending: that is what it waits for.
  keeper.unref();
  for (const pipe of [stdin, stderr]) if (pipe instanceof Socket) pipe.unref();

  const clean = async (): Promise<void> => {
    keeper.ref();
    stdin.end();
    const code = await done;
    if (code !== 0) throw new Error(`Could not remove the ${kind} ${name}: ${complaint || "the keeper was killed"}`);
  };
  let cleaning: Promise<void> | undefined;
  return {
    watch: (pid) => void stdin.write(`${pid ?? ""}\n`),
    clean: () => (cleaning ??= clean()),
  };
}
