import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The top of the repository, where every command runs. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** What every command gets to see: no telemetry, no update notices, no questions. */
const quietTools = {
  DO_NOT_TRACK: "1",
  TURBO_TELEMETRY_DISABLED: "1",
  TURBO_NO_UPDATE_NOTIFIER: "1",
  NO_UPDATE_NOTIFIER: "1",
  npm_config_update_notifier: "false",
};

/**
 * @typedef {object} Result
 * @property {number} code exit code; 127 where the program could not be started
 * @property {string} output stdout and stderr as they came, empty where they were shown
 */

/**
 * Runs a command with the terminal as its own.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} [env]
 * @returns {Promise<Result>}
 */
export function show(program, args, env = {}) {
  return start(program, args, env, "inherit");
}

/**
 * Runs a command and keeps what it prints.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} [env]
 * @returns {Promise<Result>}
 */
export function capture(program, args, env = {}) {
  return start(program, args, env, "pipe");
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} env
 * @param {"inherit" | "pipe"} stdio
 * @returns {Promise<Result>}
 */
function start(program, args, env, stdio) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...quietTools, ...env },
      stdio: stdio === "inherit" ? "inherit" : ["ignore", "pipe", "pipe"],
      // npm and npx are .cmd files on Windows, which only a shell can start.
      shell: process.platform === "win32" && !program.endsWith(".exe"),
    });
    let output = "";
    child.stdout?.on("data", (chunk) => (output += chunk));
    child.stderr?.on("data", (chunk) => (output += chunk));
    // Ctrl-C reaches the child by itself, other signals are passed on: it decides when to end, we only say how it did.
    const passOn = (/** @type {NodeJS.Signals} */ signal) => void child.kill(signal);
    process.on("SIGINT", keepWaiting).on("SIGTERM", passOn).on("SIGHUP", passOn);
    child.on("error", (error) => resolve({ code: 127, output: `${output}${program}: ${error.message}\n` }));
    child.on("close", (code) => {
      process.off("SIGINT", keepWaiting).off("SIGTERM", passOn).off("SIGHUP", passOn);
      resolve({ code: code ?? 1, output });
    });
  });
}

function keepWaiting() {}
