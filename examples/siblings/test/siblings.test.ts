import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { send } from "../src/exchange.ts";
import { FERRY, type Office, openOffice, SYSTEM_ID } from "../src/office.ts";
import { type Outcome, run } from "../src/run.ts";
import { drawTree } from "../src/tree.ts";

const example = join(import.meta.dirname, "..");

describe("two offices that were cut off from each other", () => {
  const folder = mkdtempSync(join(tmpdir(), "siblings-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  let outcome: Outcome;
  beforeAll(async () => {
    outcome = await run(folder, () => undefined);
  });

  it("have sold the same seats", () => {
    expect(outcome.apart).toEqual([
      { seats: ["Ada", "Ben", "Cem", "Dia"], waiting: [] },
      { seats: ["Ada", "Eve", "Fay", "Gus"], waiting: [] },
    ]);
  });

  it("both find the same two siblings", () => {
    const siblings = ["harbour:1;island:1", "harbour:3"];
    expect(outcome.siblings).toEqual([siblings, siblings]);
  });

  it("both heal from what they share, by all events since", () => {
    for (const healing of outcome.healings) {
      expect(healing?.ancestor?.vector).toBe("harbour:1");
      expect(healing?.events.map(({ data }) => data)).toEqual(["Cem", "Eve", "Ben", "Fay", "Dia", "Gus"]);
      expect(healing?.withoutPack).toEqual([]);
    }
  });

  it("end with the same state, as the same snapshot", () => {
    const same = {
      ferry: { seats: ["Ada", "Cem", "Eve", "Fay"], waiting: ["Dia", "Gus"] },
      vector: "harbour:3;island:1",
    };
    expect(outcome.together).toEqual([same, same]);
  });
});

describe("two offices", () => {
  let folder: string;
  let offices: readonly [Office, Office];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "siblings-"));
    let time = Date.parse("2026-06-01T08:00:00Z");
    const open = (name: string) => openOffice(name, join(folder, `${name}.sqlite`), () => (time += 1_000));
    offices = [await open("harbour"), await open("island")];
  });
  afterEach(async () => {
    for (const office of offices) await office.close();
    rmSync(folder, { recursive: true });
  });

  async function meet(): Promise<void> {
    const [harbour, island] = offices;
    await send(harbour, island);
    await send(island, harbour);
  }

  it("that heal by different events have siblings again, and heal these to the same state", async () => {
    const [harbour, island] = offices;
    for (const office of offices) {
      await office.book(`one at the ${office.name}`);
      await office.snapshot();
    }
    await meet();
    // Commands that were on their way when the siblings came.
    await island.events.storeEvents(SYSTEM_ID, [{ type: "booked", data: "Ida" }]);
    await harbour.events.storeEvents(SYSTEM_ID, [{ type: "booked", data: "Hal" }]);
    for (const office of offices) await office.heal();
    expect(await island.current()).not.toEqual(await harbour.current());
    await meet();
    for (const office of offices) await office.heal();
    await meet();
    const together = { seats: ["one at the harbour", "one at the island", "Ida", "Hal"], waiting: [] };
    for (const office of offices) {
      expect(await office.current()).toEqual(together);
      expect(await office.actors.fetch(FERRY)).toMatchObject({ vector: "harbour:2;island:2" });
    }
  });

  it("of which one has made no snapshot of what it sold while it was cut off lose nothing of it", async () => {
    const [harbour, island] = offices;
    await harbour.book("Ada");
    await harbour.snapshot();
    await meet();
    await island.book("Eve");
    await harbour.book("Ben");
    await harbour.snapshot();
    await meet();
    for (const office of offices) await office.heal();
    await meet();
    for (const office of offices) expect((await office.current()).seats).toEqual(["Ada", "Eve", "Ben"]);
  });
});

it("the README shows what it prints", () => {
  const printed = execFileSync(process.execPath, [join(example, "dist", "main.js")], { encoding: "utf8" });
  expect(readFileSync(join(example, "README.md"), "utf8")).toContain(`\`\`\`text\n${printed}\`\`\``);
});

it("the tree shows what was made from what, and a chain whose beginning is missing as one of its own", () => {
  const links = [
    { vector: "a:1", ancestor: undefined },
    { vector: "a:2", ancestor: "a:1" },
    { vector: "b:9", ancestor: "b:8" },
  ];
  expect(drawTree(links)).toEqual(["a:1", "└─ a:2  (sibling)", "b:9  (sibling)"]);
});
