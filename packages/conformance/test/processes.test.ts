import { expect, test } from "vitest";

/** Built, since a child is a program of its own. */
const { spawnChild } = (await import(
  new URL("../dist/processes.js", import.meta.url).href
)) as typeof import("../src/processes.ts");

const REFUSAL = "This adapter is never there.";
const refusing = `export const openDatabase = () => ({ adapter: () => { throw new Error("${REFUSAL}"); } });`;
const process = { module: `data:text/javascript,${encodeURIComponent(refusing)}`, config: undefined };

/** A process that stands ready, and fails as soon as it may go. */
async function readyToFail() {
  const child = await spawnChild({ process } as never, { script: "lifetime/first-start", tooth: undefined });
  await child.hear("ready");
  return child;
}

test("what a process says last is heard, also when others end while it says so", async () => {
  const [earlier, speaker, late] = await Promise.all([readyToFail(), readyToFail(), readyToFail()]);
  const whileHeard = speaker.result().catch(() => {
    // The end of `earlier` is waiting to be looked at. When it is, `late` will have ended as well, and not been heard.
    late.say("go");
    standStill(500);
  });
  earlier.say("go");
  speaker.say("go");
  standStill(500);
  await whileHeard;
  await expect(late.result()).rejects.toThrow(REFUSAL);
  await expect(earlier.result()).rejects.toThrow(REFUSAL);
});

test("a process that died says how", async () => {
  const killed = await readyToFail();
  await killed.kill();
  await expect(killed.result()).rejects.toThrow("died before its script was done (signal SIGKILL)");
  await expect(killed.hear("more")).rejects.toThrow('without saying "more" (signal SIGKILL)');
});

/** Nothing that arrives meanwhile is looked at before the end. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
