import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a node says about itself. */
export interface NodeState {
  /** As in `wsrep_local_state_comment`, in lower case: `"synced"`, `"donor"`, `"joiner"`, … */
  readonly status: string;
  /** Whether it belongs to the majority, and so answers queries. */
  readonly primary: boolean;
  /** How many nodes it sees, itself among them. */
  readonly size: number;
}

/** A file to which a node writes each change: asking it would take a driver, and a server that answers. */
export interface StateFile {
  /** For `wsrep_notify_cmd`. */
  readonly command: string;
  readonly read: () => NodeState | undefined;
  readonly forget: () => void;
}

export function createStateFile(folder: string, giveAway: (path: string) => void): StateFile {
  const file = join(folder, "state");
  const command = join(folder, "notify");
  // Moved into its place: whoever reads it reads all of it.
  writeFileSync(command, `#!/bin/sh\nprintf '%s\\n' "$*" >'${file}.new' && mv '${file}.new' '${file}'\n`, {
    mode: 0o700,
  });
  giveAway(command);
  return {
    command,
    read: () => {
      const said = textOf(file);
      return said === undefined ? undefined : parsed(said);
    },
    forget: () => rmSync(file, { force: true }),
  };
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** `--status synced --uuid … --primary yes --index 0 --members uuid/name/host:port,…`, of which it leaves parts out. */
function parsed(said: string): NodeState {
  const option = (name: string): string | undefined => new RegExp(`--${name} (\\S+)`).exec(said)?.[1];
  return {
    status: option("status") ?? "unknown",
    primary: option("primary") === "yes",
    size: option("members")?.split(",").length ?? 0,
  };
}
