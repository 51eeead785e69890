import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContainerRuntimeClient } from "testcontainers";
import { keep } from "./keeper.ts";

const START_MS = 120_000;
const PULL_MS = 180_000;
/** Parallel queries share memory; Docker gives 64 MB. */
const SHARED_MEMORY = 256 * 1024 * 1024;

export interface ContainerPlan {
  readonly image: string;
  /** Whether an image that is not here is worth a download. */
  readonly mayPull: boolean;
  /** Where the server listens inside. */
  readonly port: number;
  readonly entrypoint: string[];
  readonly command: string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Folders that shall be in memory. */
  readonly inMemory: readonly string[];
}

export interface Container {
  readonly host: string;
  readonly port: number;
  /** Runs a command inside; fails with what it printed. */
  readonly run: (command: string[]) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** Starts a container whose port listens. It is removed when this process ends, in whichever way. */
export async function startContainer(plan: ContainerPlan): Promise<Container> {
  // Ryuk, the container with which Testcontainers cleans up, has to be pulled; our keeper does the same.
  process.env["TESTCONTAINERS_RYUK_DISABLED"] ??= "true";
  // Only now: loading it takes half a second, which those who need no container shall not wait.
  const { GenericContainer, ImageName, getContainerRuntimeClient } = await import("testcontainers");
  const engine = await getContainerRuntimeClient().catch((cause: unknown) => {
    throw new Error("no Docker engine answers", { cause });
  });
  await obtainImage(engine, ImageName.fromString(plan.image), plan.mayPull);

  // A name that is known before the container is there: the keeper finds it even if we end while it starts.
  const name = `tidemark-${randomBytes(8).toString("hex")}`;
  const keeper = keep("container", name);
  try {
    const container = await new GenericContainer(plan.image)
      .withName(name)
      .withEntrypoint(plan.entrypoint)
      .withCommand(plan.command)
      .withEnvironment(plan.environment)
      .withExposedPorts(plan.port)
      .withTmpFs(Object.fromEntries(plan.inMemory.map((folder) => [folder, "rw"])))
      .withSharedMemorySize(SHARED_MEMORY)
      .withStartupTimeout(START_MS)
      .start();
    return {
      host: container.getHost(),
      port: container.getMappedPort(plan.port),
      run: async (command) => {
        const { exitCode, output } = await container.exec(command);
        if (exitCode !== 0) throw new Error(`In ${plan.image}, ${command.join(" ")} failed: ${output}`);
      },
      remove: keeper.clean,
    };
  } catch (error) {
    await keeper.clean();
    throw error;
  }
}

async function obtainImage(
  engine: ContainerRuntimeClient,
  image: Parameters<ContainerRuntimeClient["image"]["pull"]>[0],
  mayPull: boolean,
): Promise<void> {
  if (await engine.image.exists(image)) return;
  if (!mayPull) throw new Error(`the image ${image.string} is not here`);
  const tooLate = new AbortController();
  try {
    await Promise.race([
      engine.image.pull(image),
      sleep(PULL_MS, undefined, { signal: tooLate.signal }).then(() => {
        throw new Error(`it took longer than ${PULL_MS / 1000} s`);
      }),
    ]);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the image ${image.string} is not here and cannot be pulled: ${why}`, { cause: error });
  } finally {
    tooLate.abort();
  }
}
