// What a server may leave behind, and where to look for it.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getContainerRuntimeClient, ImageName } from "testcontainers";
import { afterEach, beforeEach, expect, vi } from "vitest";

/** What the chain downloads where it is not here. */
const pulled = new Set(["postgres:17", "mysql:9", "mysql:8.0", "mariadb:11", "mariadb:10.6"]);

/** Why no container of that image can be started here, or nothing if one can. */
export async function whyNoContainer(image: string): Promise<string | undefined> {
  const engine = await getContainerRuntimeClient().catch(() => undefined);
  if (engine === undefined) return "no Docker engine answers";
  const name = ImageName.fromString(image);
  if (pulled.has(image)) await engine.image.pull(name).catch(() => {});
  return (await engine.image.exists(name)) ? undefined : `the image ${image} is not here`;
}

/** Temporary files of the running test, and of what it starts, go here; other users may come in. */
export let temporary: string;

let usual: string | undefined;

beforeEach(() => {
  usual = process.env["TMPDIR"];
  temporary = mkdtempSync(join(tmpdir(), "test-servers-"));
  chmodSync(temporary, 0o755);
  process.env["TMPDIR"] = temporary;
});

afterEach(() => {
  if (usual === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = usual;
  rmSync(temporary, { recursive: true, force: true });
});

/** Everything of the server behind that URL that is still there. */
export async function traces(url: string): Promise<readonly string[]> {
  const { hostname, port } = new URL(url);
  const processes = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).split("\n");
  return [
    // Testcontainers leaves a lock file, which is there for good.
    ...readdirSync(temporary).flatMap((name) => (name.startsWith("testcontainers-node") ? [] : `folder ${name}`)),
    ...processes.filter((args) => args.includes(temporary)).map((args) => `process ${args}`),
    ...(await containersAt(Number(port))).map((name) => `container ${name}`),
    ...((await listens(hostname, Number(port))) ? [`port ${port}`] : []),
  ];
}

async function containersAt(port: number): Promise<readonly string[]> {
  const engine = await getContainerRuntimeClient().catch(() => undefined);
  const containers = (await engine?.container.list()) ?? [];
  return containers
    .filter(({ Ports }) => Ports.some(({ PublicPort }) => PublicPort === port))
    .flatMap(({ Names }) => Names);
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Waits until nothing is: what was ended ends in its own time. `before`: what there was while it ran, if that was looked at. */
export async function nothingIsLeft(url: string, before?: readonly string[]): Promise<void> {
  await vi.waitFor(async () => expect(withoutOthers(await traces(url), before)).toEqual([]), {
    timeout: 60_000,
    interval: 100,
  });
}

/** A port that is free again may be given to another container, of which that is no trace. */
function withoutOthers(found: readonly string[], before: readonly string[] = found): readonly string[] {
  const isOthers = (trace: string): boolean => trace.startsWith("container ") && !before.includes(trace);
  if (!found.some(isOthers)) return found;
  return found.filter((trace) => !isOthers(trace) && !trace.startsWith("port "));
}
