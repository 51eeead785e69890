import type { TestProject } from "vitest/node";
import { explain, seekServer } from "./find.ts";
import { requiredServers } from "./required.ts";
import type { Found, Missing } from "./server.ts";
import type { NoServer, ProvidedServer } from "./vitest.ts";

/** What all projects of a run share. */
interface Run {
  readonly answers: Map<string, Promise<Found | Missing>>;
  projects: number;
}

/**
 * vitest's global setup of a project: starts the servers that the project asks for, unless another project had them
 * started, and ends all of them after the last project. vitest calls it only for projects that have files to run.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = currentRun();
  const required = requiredServers();
  run.projects++;
  const names = project.getProvidedContext()["tidemark.wanted"] ?? [];
  const answers = await Promise.all(names.map((name) => ask(run, name)));
  project.provide(
    "tidemark.servers",
    Object.fromEntries(answers.map((answer) => provided(answer, required)).map((server) => [server.name, server])),
  );
  return async () => {
    if (--run.projects > 0) return;
    const all = await Promise.all(run.answers.values());
    run.answers.clear();
    await Promise.all(all.flatMap((answer) => (answer.kind === "found" ? answer.server.stop() : [])));
    // After vitest's summary: the last lines are those that are read.
    const missing = all.filter((answer) => answer.kind === "missing");
    if (missing.length === 0) return;
    project.vitest.logger.log(["NOT TESTED, for want of a server:", ...missing.map(explain), ""].join("\n"));
  };
}

/** Each project loads this module anew, so what they share is with the process. */
function currentRun(): Run {
  const shared: typeof globalThis & { "tidemark.test-servers"?: Run } = globalThis;
  return (shared["tidemark.test-servers"] ??= { answers: new Map(), projects: 0 });
}

function ask({ answers }: Run, name: string): Promise<Found | Missing> {
  const answer = answers.get(name) ?? seekServer(name);
  answers.set(name, answer);
  return answer;
}

function provided(answer: Found | Missing, required: ReadonlySet<string>): ProvidedServer | NoServer {
  switch (answer.kind) {
    case "found": {
      const { name, url, version } = answer.server;
      return { kind: "found", name, url, version };
    }
    case "missing": {
      const { kind, name } = answer;
      return { kind, name, why: explain(answer).replaceAll(/\s*\n\s*/g, "; "), required: required.has(name) };
    }
  }
}
