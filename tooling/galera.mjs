// A Galera cluster to try things on: `npm run galera -- start`, then `status`, `kill 2`, `restart 2`, `stop`. It runs on
// after `start` has ended, and this machine has one for each user.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { explainGalera, startGalera } from "@tidemark/test-servers/galera";

const USAGE = "Usage: npm run galera -- <start | status | kill <1-3> | restart <1-3> | stop>";

/** Where the process that holds the cluster takes orders. Only its user may write there. */
const door = join(tmpdir(), `tidemark-galera-${process.getuid?.() ?? 0}.sock`);

const [, , command = "", number] = process.argv;
switch (command) {
  case "start":
    process.exitCode = await start();
    break;
  case "hold":
    await hold();
    break;
  case "status":
  case "stop":
  case "kill":
  case "restart":
    process.exitCode = await order(`${command} ${number ?? ""}`);
    break;
  default:
    console.error(USAGE);
    process.exitCode = 2;
}

/** @returns {Promise<number>} exit code */
async function start() {
  if ((await ask("status")) !== undefined) {
    console.error("It runs already:");
    await order("status");
    return 1;
  }
  const missing = explainGalera();
  if (missing !== undefined) {
    console.error(missing);
    return 1;
  }
  // A process of its own, which outlives this one: with it the nodes would end.
  const holder = spawn(process.execPath, [fileURLToPath(import.meta.url), "hold"], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const ended = once(holder, "exit").then(([code, signal]) => `Its process ended (${code ?? signal}).`);
  const said = await Promise.race([once(holder, "message").then(([words]) => words), ended]);
  if (said !== "started") {
    console.error(said);
    return 1;
  }
  holder.disconnect();
  holder.unref();
  return order("status");
}

/** What the process of its own does: starts the cluster and takes orders until one is to stop. */
async function hold() {
  // Whoever waits for the cluster has given up, so the nodes end with us.
  const giveUp = () => process.exit(1);
  process.on("disconnect", giveUp);
  let answer = "started";
  let server;
  try {
    // First of all: of two that start at once, one finds the door taken. Orders wait until the cluster is there.
    let galera = /** @type {Promise<import("@tidemark/test-servers/galera").Galera> | undefined} */ (undefined);
    server = await openDoor(async (socket) => {
      if (galera !== undefined) await obey(await galera, socket);
    });
    galera = startGalera();
    await galera;
  } catch (error) {
    answer = reason(error);
    server?.close();
  }
  process.off("disconnect", giveUp);
  process.send?.(answer, () => {
    if (answer !== "started") process.exit(1);
  });
}

/**
 * @param {(socket: import("node:net").Socket) => Promise<void>} serve
 * @returns {Promise<import("node:net").Server>}
 */
async function openDoor(serve) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    void serve(socket).finally(() => socket.end());
  });
  const listening = once(server, "listening");
  // What a killed holder left. One that lives takes connections.
  if (!(await isOpen())) rmSync(door, { force: true });
  server.listen(door);
  await listening;
  return server;
}

/** @returns {Promise<boolean>} */
function isOpen() {
  return new Promise((resolve) => {
    const socket = connect(door, () => {
      resolve(true);
      socket.destroy();
    });
    socket.on("error", () => resolve(false));
  });
}

/**
 * @param {import("@tidemark/test-servers/galera").Galera} galera
 * @param {import("node:net").Socket} socket
 */
async function obey(galera, socket) {
  // Not as a stream, which would close both directions at its end.
  let words = "";
  socket.on("data", (chunk) => (words += chunk));
  await once(socket, "end");
  const [action, number] = words.trim().split(" ");
  const node = galera.nodes[Number(number) - 1];
  try {
    if (action === "stop") {
      await galera.stop();
      rmSync(door, { force: true });
      socket.end("ok\nStopped.\n", () => process.exit(0));
      return;
    }
    if (action === "kill" || action === "restart") {
      if (node === undefined) throw new Error(`There is no node ${number || "without a number"}.\n${USAGE}`);
      await node[action]();
    }
    socket.write(`ok\n${galera.nodes.map(line).join("")}`);
  } catch (error) {
    socket.write(`failed\n${reason(error)}\n`);
  }
}

/** @param {unknown} error */
function reason(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {import("@tidemark/test-servers/galera").GaleraNode} node
 * @param {number} index
 */
function line({ url, state }, index) {
  const now = state();
  const words =
    now === undefined ? "down" : `${now.status}, ${now.primary ? "primary" : "not primary"}, sees ${now.size}`;
  return `${index + 1}  ${url}  ${words}\n`;
}

/**
 * Gives an order and shows the answer.
 *
 * @param {string} words
 * @returns {Promise<number>} exit code
 */
async function order(words) {
  const answer = await ask(words);
  if (answer === undefined) {
    console.error("It does not run.");
    return words.startsWith("stop") ? 0 : 1;
  }
  const [outcome, ...lines] = answer.split("\n");
  process.stdout.write(lines.join("\n"));
  return outcome === "ok" ? 0 : 1;
}

/**
 * @param {string} words
 * @returns {Promise<string | undefined>} nothing where nobody holds a cluster
 */
async function ask(words) {
  const socket = connect(door);
  try {
    await once(socket, "connect");
  } catch {
    return undefined;
  }
  socket.end(words);
  return text(socket);
}
