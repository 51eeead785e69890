// The root commands: `node tooling/run.mjs <task> [arguments]`. Needs Node and npm, brings everything else.
import { unsupportedNode } from "./node-version.mjs";

const complaint = unsupportedNode(process.versions.node);
if (complaint === undefined) {
  // Loaded only now, so that a Node that is too old reads the words above and not a syntax error.
  const { runTask } = await import("./tasks.mjs");
  process.exitCode = await runTask(process.argv[2], process.argv.slice(3));
} else {
  console.error(complaint);
  process.exitCode = 1;
}
