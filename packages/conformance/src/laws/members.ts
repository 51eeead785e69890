import { assert, eventually, fulfils } from "../expect.ts";
import type { Law } from "../law.ts";
import { membersThat } from "../lies/members.ts";

const LONG_MS = 60_000;

export const memberLaws: readonly Law[] = [
  {
    id: "members/listed",
    promise: "Everyone who asks gets the same members, ascending by bytes, itself among them.",
    tooth: membersThat("lists whoever asks first", (members) => ({
      meet: async (consumers, member, ms, op) =>
        (await members.meet(consumers, member, ms, op)).map((alive) => [
          member,
          ...alive.filter((other) => other !== member),
        ]),
    })),
    check: async ({ store, open }) => {
      const other = await open();
      for (const member of ["b", "Z", "é", "a", "e\u0301", "a "]) {
        await store.members.meet(["orders"], { member, ms: LONG_MS });
      }
      const expected = ["Z", "a", "a ", "b", "e\u0301", "m", "é"];
      assert.deepEqual(await other.members.meet(["orders"], { member: "m", ms: LONG_MS }), [expected]);
      assert.deepEqual(await store.members.meet(["orders"], { member: "a", ms: LONG_MS }), [expected]);
    },
  },
  {
    id: "members/several",
    promise:
      "One call is about several consumers, and answers for each of them, in the order in which they were given.",
    tooth: membersThat("takes the members of one consumer for those of all", (members) => ({
      meet: async (consumers, member, ms, op) => {
        const [first = []] = await members.meet(consumers, member, ms, op);
        return consumers.map(() => first);
      },
    })),
    check: async ({ store }) => {
      const second = { name: "orders", version: 2 };
      const meet = (member: string, ...consumers: Parameters<typeof store.members.meet>[0]): Promise<unknown> =>
        store.members.meet(consumers, { member, ms: LONG_MS });
      assert.deepEqual(await meet("a", "orders", second), [["a"], ["a"]]);
      assert.deepEqual(await meet("b", second), [["a", "b"]]);
      assert.deepEqual(await meet("c", "Orders", second, "orders"), [["c"], ["a", "b", "c"], ["a", "c"]]);
      assert.deepEqual(await meet("c"), []);
    },
  },
  {
    id: "members/expiry",
    promise: "A member that is not heard of within its time is forgotten, whatever became of its process.",
    tooth: membersThat("keeps members a thousand times as long", (members) => ({
      meet: (consumers, member, ms, op) => members.meet(consumers, member, ms * 1_000, op),
    })),
    check: async ({ store, open }) => {
      const [gone, other] = [await open(), await open()];
      await gone.members.meet(["orders", "others"], { member: "gone", ms: 30 });
      await gone.close();
      for (const consumer of ["orders", "others"]) {
        await eventually(
          "A member is forgotten",
          async () => {
            const [alive] = await other.members.meet([consumer], { member: "me", ms: LONG_MS });
            return alive?.join() === "me";
          },
          4_000,
        );
      }
      assert.deepEqual(await store.members.meet(["orders"], { member: "you", ms: LONG_MS }), [["me", "you"]]);
    },
  },
  {
    id: "members/renewed",
    promise: "A member stays for as long as it is heard of.",
    tooth: membersThat("counts from the first time that a member was heard of", (members) => {
      const until = new Map<string, number>();
      return {
        meet: (consumers, member, ms, op) => {
          const first = until.get(member) ?? performance.now() + ms;
          until.set(member, first);
          return members.meet(consumers, member, Math.max(1, Math.floor(first - performance.now())), op);
        },
      };
    }),
    check: async ({ store }) => {
      const meet = async (member: string, ms: number): Promise<readonly string[]> =>
        (await store.members.meet(["orders"], { member, ms }))[0] ?? [];
      await meet("kept", 50);
      await meet("kept", LONG_MS);
      // Heard of later, and for longer than the other one was at first.
      await meet("marker", 100);
      await eventually("The marker is forgotten", async () => !(await meet("me", LONG_MS)).includes("marker"));
      assert.deepEqual(await meet("me", LONG_MS), ["kept", "me"]);
    },
  },
  {
    id: "members/leave",
    promise: "A member that leaves is gone at once, for the consumers that it leaves; leaving again does nothing.",
    tooth: membersThat("keeps members that have left", () => ({ leave: async () => undefined })),
    check: async ({ store, open }) => {
      const other = await open();
      await store.members.meet(["orders", "others"], { member: "a", ms: LONG_MS });
      await store.members.leave(["orders"], "a");
      await fulfils(store.members.leave(["orders", "nobody's"], "a"), "Leaving again is allowed");
      const alive = await other.members.meet(["orders", "others"], { member: "b", ms: LONG_MS });
      assert.deepEqual(alive, [["b"], ["a", "b"]]);
    },
  },
  {
    id: "members/at-once",
    promise: "Members that come and go at the same time do not lose each other.",
    tooth: membersThat("forgets the others when one comes", (members) => ({
      meet: async (consumers, member, ms, op) => {
        const [alive = []] = await members.meet(consumers, member, ms, op);
        for (const other of alive) if (other !== member) await members.leave(consumers, other, op);
        return members.meet(consumers, member, ms, op);
      },
    })),
    check: async ({ store, open }) => {
      const others = [await open(), await open()];
      const consumers = ["c", "a", "b"];
      const names = Array.from({ length: 12 }, (_, index) => `member ${String(index).padStart(2, "0")}`);
      for (let time = 0; time < 3; time++) {
        await Promise.all(
          names.map((member, index) =>
            (others[index % 3] ?? store).members.meet(time % 2 === 0 ? consumers : consumers.toReversed(), {
              member,
              ms: LONG_MS,
            }),
          ),
        );
      }
      const alive = await store.members.meet(consumers, { member: names[0] ?? "", ms: LONG_MS });
      assert.deepEqual(alive, [names, names, names]);
    },
  },
];
