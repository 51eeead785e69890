import { join } from "node:path";
import type { Healing, SnapshotLink } from "@tidemark/core";
import { send } from "./exchange.ts";
import { describe, type Ferry } from "./ferry.ts";
import { FERRY, type Office, openOffice } from "./office.ts";
import { drawTree } from "./tree.ts";

export interface Outcome {
  /** What each office had while they were cut off from each other. */
  readonly apart: readonly Ferry[];
  /** The vectors of the siblings that each one found when they met. */
  readonly siblings: readonly (readonly string[])[];
  readonly healings: readonly (Healing | undefined)[];
  /** What each one has in the end, and as which snapshot. */
  readonly together: readonly { readonly ferry: Ferry; readonly vector: string }[];
}

/** Two offices sell tickets for one ferry, are cut off from each other, and meet again. Their files go to `folder`. */
export async function run(folder: string, say: (line: string) => void): Promise<Outcome> {
  // A second for each event: the output is the same each time.
  let time = Date.parse("2026-06-01T08:00:00Z");
  const clock = () => (time += 1_000);
  const open = (name: string) => openOffice(name, join(folder, `${name}.sqlite`), clock);
  const offices = [await open("harbour"), await open("island")] as const;
  const [harbour, island] = offices;

  const tell = (office: Office, what: string) => say(`   ${office.name.padEnd(8)} ${what}`);
  const book = async (office: Office, passenger: string) => {
    const place = await office.book(passenger);
    tell(office, `books ${passenger}: ${place}`);
  };
  const snapshot = async (office: Office) => tell(office, `stores the snapshot ${await office.snapshot()}`);
  const exchange = async () => {
    for (const [from, to] of [offices, offices.toReversed()] as const) {
      if (from === undefined || to === undefined) continue;
      const { events, snapshots } = await send(from, to);
      tell(from, `sends what ${to.name} does not have: events ${events}, snapshots ${snapshots}`);
    }
  };
  const draw = async () => {
    const links: SnapshotLink[] = [];
    for await (const link of harbour.actors.links(FERRY)) links.push(link);
    for (const line of drawTree(links)) say(`   ${line}`);
  };

  try {
    say(`1  Ferry ${FERRY} has four seats. Two offices sell them, each with a store of its own`);
    await book(harbour, "Ada");
    await book(harbour, "Ben");
    await snapshot(harbour);
    await exchange();

    say("2  The cable to the island breaks. Both go on selling");
    await book(harbour, "Cem");
    await snapshot(harbour);
    await book(island, "Eve");
    await island.cancel("Ben");
    tell(island, "cancels Ben");
    await book(island, "Fay");
    await book(harbour, "Dia");
    await snapshot(harbour);
    await book(island, "Gus");
    await snapshot(island);
    const apart = await Promise.all(offices.map((office) => office.current()));
    for (const office of offices) tell(office, `has ${describe(await office.current())}`);

    say("3  The cable is mended. Each sends what the other one does not have, and finds siblings");
    await exchange();
    const siblings = [];
    for (const office of offices) {
      const found = await office.actors.fetch(FERRY);
      const vectors = Array.isArray(found) ? found.map(({ vector }) => vector) : [];
      siblings.push(vectors);
      tell(office, `has the siblings ${vectors.join(" and ")}`);
    }
    await draw();

    say("4  Each heals them for itself: from the snapshot that both share, by the events since, in their order");
    const healings = [];
    for (const office of offices) {
      const healing = await office.heal();
      healings.push(healing);
      const names = healing?.events.map(({ type, data }) => (type === "booked" ? "+" : "-") + String(data)).join(" ");
      tell(office, `heals from ${healing?.ancestor?.vector ?? "none"} by ${names ?? "nothing"}`);
    }

    say("5  Both have the same, and when they meet again there is nothing to be sent");
    const together = [];
    for (const office of offices) {
      const latest = await office.actors.fetch(FERRY);
      const ferry = await office.current();
      together.push({ ferry, vector: latest === undefined || Array.isArray(latest) ? "" : latest.vector });
      tell(office, `has ${describe(ferry)}`);
    }
    await exchange();
    await draw();
    return { apart, siblings, healings, together };
  } finally {
    for (const office of offices) await office.close();
  }
}
