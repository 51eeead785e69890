import { show } from "./command.mjs";
import { ensureInstalled } from "./install.mjs";
import { pnpm } from "./pnpm.mjs";

/**
 * A step gives an exit code.
 *
 * @typedef {(args: readonly string[]) => Promise<number>} Step
 */

/**
 * What each root command does once the dependencies are there. The last step gets the arguments of the command line.
 *
 * @type {Readonly<Record<string, readonly Step[]>>}
 */
const tasks = {
  // Straight from tsc, which follows what is imported: turbo would build what the adapters are tested with as well.
  demo: [tool("tsc", "-b", "examples/release-radar"), node("examples/release-radar/dist/main.js")],
  bench: [tool("tsc", "-b", "benchmarks"), node("benchmarks/dist/main.js")],

  test: [build(), tool("vitest", "run")],
  laws: [build(), node("tooling/law-table.mjs")],

  build: [turbo("build")],
  typecheck: [turbo("typecheck")],
  lint: [build(), tool("oxlint", "--type-aware", "--deny-warnings")],
  format: [tool("oxfmt")],
  "format:check": [tool("oxfmt", "--check")],
  "check:packages": [
    build(),
    node("tooling/check-dependencies.mjs"),
    tool("node", "tooling/check-packages.mjs"),
    tool("knip"),
  ],
  galera: [tool("tsc", "-b", "test-servers"), node("tooling/galera.mjs")],
  changeset: [tool("changeset")],
};

/** What `check` runs, in the order in which it says most the soonest. */
const everything = ["format:check", "typecheck", "lint", "check:packages", "test"];

/**
 * @param {string | undefined} name
 * @param {readonly string[]} args
 * @returns {Promise<number>} exit code
 */
export async function runTask(name, args) {
  const steps = name === "check" ? everything.flatMap((task) => tasks[task] ?? []) : name && tasks[name];
  if (!steps) {
    console.error(`Usage: npm run <${[...Object.keys(tasks), "check"].join(" | ")}>`);
    return 2;
  }
  const trouble = await ensureInstalled();
  if (trouble !== undefined) {
    console.error(trouble);
    return 1;
  }
  for (const [index, step] of steps.entries()) {
    const code = await step(index === steps.length - 1 ? args : []);
    if (code !== 0) return code;
  }
  return 0;
}

/**
 * Builds without a word, unless it fails.
 *
 * @returns {Step}
 */
function build() {
  return async () => {
    const { code, output } = await pnpm("capture", ["exec", "turbo", "run", "build", "--output-logs=errors-only"]);
    if (code !== 0) console.error(output);
    return code;
  };
}

/**
 * @param {string} task
 * @returns {Step}
 */
function turbo(task) {
  return async (args) =>
    (await pnpm("show", ["exec", "turbo", "run", task, "--output-logs=errors-only", ...args])).code;
}

/**
 * A program from node_modules/.bin, with pnpm on its PATH.
 *
 * @param {string} program
 * @param {readonly string[]} fixed
 * @returns {Step}
 */
function tool(program, ...fixed) {
  return async (args) => (await pnpm("show", ["exec", program, ...fixed, ...args])).code;
}

/**
 * @param {string} script
 * @returns {Step}
 */
function node(script) {
  return async (args) => (await show(process.execPath, [script, ...args])).code;
}
