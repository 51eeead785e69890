import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, closeSync, mkdtempSync, openSync, readFileSync, realpathSync, statSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { keep } from "./keeper.ts";

/** A server run from programs, and the temporary folder that is all it may leave behind while it runs. */
export interface PrivateServer {
  readonly folder: string;
  /** The folder with the programs that are run: the one that was given, or a copy. */
  readonly programs: string;
  /** Lets the server have a file that we made. */
  readonly giveAway: (path: string) => void;
  /** Runs a program to its end, by its path from there; fails with what it printed. */
  readonly run: (program: string, args: readonly string[]) => Promise<void>;
  /** Starts the server itself. `ended` says why it is no longer there, or nothing while it is. */
  readonly serve: (program: string, args: readonly string[]) => { readonly ended: () => string | undefined };
  /** Ends the server by that signal. */
  readonly end: (signal: NodeJS.Signals) => Promise<void>;
  /** Ends the server and removes the folder. */
  readonly close: () => Promise<void>;
}

interface Running {
  readonly process: ChildProcess;
  /** Fulfilled with the exit code, or the name of the signal. */
  readonly gone: Promise<number | string>;
}

/**
 * Opens a folder for a server whose programs are given. Database servers refuse to run as root: then it is the user
 * nobody who runs them, on a copy where they lie in a place that only root reaches.
 *
 * @param programs the folder with the server's programs
 */
export async function openPrivateServer(kind: string, programs: string): Promise<PrivateServer> {
  const user = process.getuid?.() === 0 ? nobody() : undefined;
  const folder = mkdtempSync(join(temporary(user), `tidemark-${kind}-`));
  const keeper = keep("folder", folder);
  const log = join(folder, "log");
  const giveAway = (path: string): void => {
    if (user !== undefined) chownSync(path, user.uid, user.gid);
  };
  let server: Running | undefined;

  let bin = realpathSync(programs);
  try {
    giveAway(folder);
    if (user !== undefined && !isOpenToAll(bin)) {
      const copy = join(folder, "programs");
      await cp(dirname(bin), copy, { recursive: true, verbatimSymlinks: true });
      // The mode was copied, too.
      chmodSync(copy, 0o755);
      bin = join(copy, basename(bin));
    }
  } catch (error) {
    await keeper.clean();
    throw error;
  }

  // Detached: on Ctrl-C it is we who end it, not the terminal. No pipes: it outlives whoever reads them.
  const start = (program: string, args: readonly string[]): Running => {
    const output = openSync(log, "a");
    const child = spawn(join(bin, exe(program)), args, {
      cwd: folder,
      env: { PATH: process.env["PATH"], TMPDIR: folder, HOME: folder, LC_ALL: "C", TZ: "UTC" },
      detached: true,
      stdio: ["ignore", output, output],
      ...user,
    });
    closeSync(output);
    keeper.watch(child.pid);
    const gone = once(child, "exit").then(
      ([code, signal]: (number | string | null)[]) => code ?? signal ?? 1,
      (error: unknown) => String(error),
    );
    void gone.then(() => keeper.watch(undefined));
    return { process: child, gone };
  };
  const complaint = (program: string, how: number | string): string =>
    `${program} ended (${how}): ${readFileSync(log, "utf8").trimEnd().split("\n").slice(-5).join("\n")}`;

  return {
    folder,
    programs: bin,
    giveAway,
    run: async (program, args) => {
      const how = await start(program, args).gone;
      if (how !== 0) throw new Error(complaint(program, how));
    },
    serve: (program, args) => {
      const running = start(program, args);
      // Whoever forgets to stop it shall be able to end all the same; the keeper sees to the rest.
      running.process.unref();
      let ended: number | string | undefined;
      void running.gone.then((how) => (ended = how));
      server = running;
      return { ended: () => (ended === undefined ? undefined : complaint(program, ended)) };
    },
    end: async (signal) => {
      server?.process.ref();
      server?.process.kill(signal);
      await server?.gone;
    },
    close: keeper.clean,
  };
}

export function exe(program: string): string {
  return process.platform === "win32" ? `${program}.exe` : program;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

function nobody(): User {
  const entry = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"));
  if (entry === null) throw new Error("a database server refuses to run as root, and there is no user nobody");
  return { uid: Number(entry[1]), gid: Number(entry[2]) };
}

/** The folder for temporary files, or the usual one where ours is closed to the user who runs the server. */
function temporary(user: User | undefined): string {
  return user === undefined || isOpenToAll(realpathSync(tmpdir())) ? tmpdir() : "/tmp";
}

/** Whether every user can reach the path: it and all folders above let them pass. */
function isOpenToAll(path: string): boolean {
  const parent = dirname(path);
  return (statSync(path).mode & 0o001) !== 0 && (parent === path || isOpenToAll(parent));
}
