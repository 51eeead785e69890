import { readFileSync } from "node:fs";
import { join } from "node:path";
import { capture, root, show } from "./command.mjs";

/** `pnpm@x.y.z`: the version that package.json pins, without the hash that Corepack wants. */
export const pinnedPnpm = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager.split("+")[0];

/**
 * Runs the pinned pnpm, whatever pnpm is on the PATH. npx keeps it after the first time, and puts it on the PATH of what
 * it runs: turbo needs one there.
 *
 * @param {"show" | "capture"} how
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} [env]
 */
export function pnpm(how, args, env = {}) {
  const run = how === "show" ? show : capture;
  return run("npx", ["--yes", "--prefer-offline", "--loglevel=error", pinnedPnpm, ...args], env);
}
