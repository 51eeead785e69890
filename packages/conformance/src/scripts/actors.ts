import { actorsOf, eventsOf, save } from "../actors.ts";
import { argsOf, type Script } from "../script.ts";

export const actorScripts: Readonly<Record<string, Script>> = {
  /** Stores what its node has: beside the other one, and after what the other one has. */
  "actors/store": async ({ open, say, hear }, args) => {
    const { node } = argsOf<{ readonly node: "a" | "b" }>(args);
    const store = await open();
    const actors = await actorsOf(store);
    say("ready");
    await hear("go");
    for (let n = 0; n < 5; n++) {
      for (let count = 1; count <= 5; count++) {
        await save(actors, `${node}:${count}`, { _ancestor: "" }, `apart ${n}`);
        await save(actors, node === "a" ? `a:${count}` : `a:${count};b:${count}`, { _ancestor: "" }, `together ${n}`);
      }
    }
    await store.close();
    return undefined;
  },

  /** Stores one snapshot after the other, and maps an id with each, until it is killed. Says how many it has. */
  "actors/store-on": async ({ open, say }) => {
    const store = await open();
    const actors = await actorsOf(store);
    for (let count = 1; ; count++) {
      await save(actors, `a:${count}`, { _ancestor: count === 1 ? "" : `a:${count - 1}` });
      await actors.mapIds(`s-${count}`, "number");
      say(`stored ${count}`);
    }
  },

  /** Resolves business ids that another process resolves as well; returns what it was told. */
  "identities/resolve": async ({ open, say, hear }, args) => {
    const { ids, minted } = argsOf<{ readonly ids: readonly string[]; readonly minted: string }>(args);
    const store = await open();
    const { identities } = await actorsOf(store);
    say("ready");
    await hear("go");
    const told: string[] = [];
    for (const id of ids) told.push(await identities.resolve(id, () => `${minted} ${id}`));
    await store.close();
    return told;
  },

  /** Stores events that another process stores as well, one by one. */
  "event-stores/store": async ({ open, say, hear }, args) => {
    const { ids } = argsOf<{ readonly ids: readonly string[] }>(args);
    const store = await open();
    const events = await eventsOf(store);
    say("ready");
    await hear("go");
    for (const id of ids) await events.storeEvents("s", [{ id, type: "deposited", data: { id } }]);
    await store.close();
    return undefined;
  },
};
