import { startSilent } from "@tidemark/test-servers/silent";
import { describeWithServer } from "@tidemark/test-servers/vitest";
import { Client } from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { type WakeupClient, Wakeups } from "../src/wakeups.ts";
import {
  type Backend,
  backends,
  cleanups,
  codeOf,
  connect,
  latch,
  open,
  placed,
  schemaName,
  terminate,
  until,
  url,
  useDatabase,
} from "./fixture.ts";

describeWithServer("postgres", (server) => {
  useDatabase(server);

  let watcher: Client;
  beforeEach(async () => {
    watcher = await connect();
  });

  interface Heard {
    readonly payload: string;
    readonly from: number;
  }

  /** What is told to whoever listens to a log, probes left out. */
  async function eavesdrop(logId: string): Promise<readonly Heard[]> {
    const heard: Heard[] = [];
    const client = await connect();
    client.on("notification", ({ payload = "", processId }) => {
      if (payload === "") heard.push({ payload, from: processId });
    });
    await client.query(`listen "tidemark_${logId.replaceAll("-", "_")}"`);
    return heard;
  }

  const isTeller = ({ query }: Backend): boolean => query.includes("pg_notify");
  const isBeside = (one: Backend): boolean => isTeller(one) || one.query.startsWith("listen");

  describe("a store that notifies", () => {
    test("tells once of many appends, on a connection of its own, after they are committed", async () => {
      const store = await open({ max: 4 }, { notify: true });
      const heard = await eavesdrop(store.logId);
      await until(async () => {
        await store.append(placed("first"));
        return heard.length > 0;
      });
      const before = heard.length;
      await Promise.all(Array.from({ length: 500 }, (_, n) => store.append(placed(`${n}`))));
      await until(() => heard.length > before);
      expect(heard.length - before).toBeLessThan(100);
      const teller = (await backends(watcher)).filter(isTeller);
      expect(new Set(heard.map(({ from }) => from))).toEqual(new Set(teller.map(({ pid }) => pid)));
    });

    test("tells of a lent transaction when it has committed, and of none that was rolled back", async () => {
      const told = countTold();
      const store = await open({}, { notify: true });
      const heard = await eavesdrop(store.logId);
      await until(async () => {
        await store.append(placed("first"));
        return heard.length > 0;
      });
      // Nothing of it is on its way any more.
      await until(() => told.sent === told.answered && told.sent === heard.length);
      const before = heard.length;
      const outcome = store.transaction(async (_tx, inside) => {
        await inside.append(placed("rolled back"));
        throw new Error("from the work");
      });
      expect(await codeOf(outcome)).toBe("Error: from the work");
      const { promise: appended, resolve: hasAppended } = latch();
      const { promise: end, resolve: finish } = latch();
      const committed = store.transaction(async (_tx, inside) => {
        await inside.append(placed("committed"));
        hasAppended();
        await end;
      });
      await appended;
      // A notification of the same server would be here by now.
      await watcher.query("select pg_notify($1, 'probe')", [`tidemark_${store.logId.replaceAll("-", "_")}`]);
      expect([told.sent, heard.length]).toEqual([before, before]);
      finish();
      await committed;
      await until(() => heard.length > before);
      expect(told.sent).toBe(before + 1);
    });

    test("goes on notifying after its connections were terminated", async () => {
      const store = await open({}, { notify: true });
      const heard = await eavesdrop(store.logId);
      await until(async () => (await backends(watcher)).filter(isBeside).length === 2);
      await terminate(
        watcher,
        (await backends(watcher)).filter(isBeside).map(({ pid }) => pid),
      );
      const before = heard.length;
      await until(async () => {
        await store.append(placed("again"));
        return heard.length > before;
      });
    });

    test("leaves no connection behind when it is closed, at whatever moment", async () => {
      for (const wait of [0, 5, 50]) {
        const store = await open({}, { notify: true });
        await new Promise((resolve) => setTimeout(resolve, wait));
        await store.close();
        await until(async () => (await backends(watcher)).length === 0);
      }
    });
  });

  describe("the listener", () => {
    const times = { probeMs: 50, answerMs: 10_000, firstPauseMs: 10, longestPauseMs: 40 };
    /** Of a listener that soon takes a late answer for none: it may listen anew whenever this machine stands still. */
    const impatient = { ...times, answerMs: 200 };

    function listening(connectBeside: () => WakeupClient, its = times): { wakeups: Wakeups; woken: () => number } {
      const wakeups = new Wakeups(connectBeside, schemaName, its);
      cleanups.push(() => wakeups.close());
      let count = 0;
      wakeups.listen(() => (count += 1));
      return { wakeups, woken: () => count };
    }

    const client = (): Client => new Client({ connectionString: url, application_name: schemaName });

    test("wakes once it listens, and at each notification of others", async () => {
      const { wakeups, woken } = listening(client);
      await until(() => wakeups.hears);
      expect(woken()).toBe(1);
      await watcher.query("select pg_notify($1, '')", [`tidemark_${schemaName}`]);
      await until(() => woken() === 2);
    });

    test("is not woken by probes, its own or of others", async () => {
      const one = listening(client);
      const other = listening(client);
      await until(() => one.wakeups.hears && other.wakeups.hears);
      await new Promise((resolve) => setTimeout(resolve, 5 * times.probeMs));
      expect([one.woken(), other.woken()]).toEqual([1, 1]);
    });

    test("sends two notifications at most, however often it is told while one is on its way", async () => {
      const sent: unknown[] = [];
      const { wakeups, woken } = listening(() => {
        const counted = client();
        return override(counted, {
          query: (text: string, values?: readonly unknown[]) => {
            if (values?.[1] === "") sent.push(text);
            return counted.query(text, [...(values ?? [])]);
          },
        });
      });
      await until(() => wakeups.hears);
      for (let n = 0; n < 1_000; n++) wakeups.tell();
      await until(() => woken() === 1 + 2);
      expect(sent).toHaveLength(2);
      wakeups.tell();
      await until(() => woken() === 1 + 3);
    });

    test("finds out that it never hears anything, and says so", async () => {
      let connections = 0;
      const { wakeups, woken } = listening(() => {
        connections += 1;
        return deaf(client());
      }, impatient);
      await until(() => connections > 6);
      expect(wakeups.hears).toBe(false);
      expect(woken()).toBe(0);
      wakeups.tell();
    });

    test("finds out that it hears nothing any more, and listens anew", async () => {
      let isDeaf = false;
      const { wakeups, woken } = listening(() => deaf(client(), () => isDeaf), impatient);
      await until(() => wakeups.hears);
      isDeaf = true;
      await until(() => !wakeups.hears);
      const before = woken();
      isDeaf = false;
      await until(() => wakeups.hears);
      // What was told meanwhile is looked for.
      expect(woken()).toBeGreaterThan(before);
    });

    test("finds out that its connection is dead without a word", async () => {
      let isDead = false;
      let connections = 0;
      const { wakeups } = listening(() => {
        connections += 1;
        const real = client();
        return override(real, {
          query: (text: string, values?: unknown[]) =>
            isDead ? new Promise(() => undefined) : real.query(text, values),
        });
      }, impatient);
      await until(() => wakeups.hears);
      isDead = true;
      await until(() => !wakeups.hears);
      // So are those that take its place, at first: given up twice, at least.
      const before = connections;
      await until(() => connections >= before + 2 * 2);
      isDead = false;
      await until(() => wakeups.hears);
    });

    test("comes back after its connections were terminated, again and again", async () => {
      const { wakeups, woken } = listening(client);
      for (let round = 1; round <= 3; round++) {
        await until(() => wakeups.hears && woken() === round);
        await terminate(
          watcher,
          (await backends(watcher)).map(({ pid }) => pid),
        );
      }
      await until(() => wakeups.hears && woken() === 4);
    });

    test("ends when it is closed while nobody answers", async () => {
      const silent = await startSilent();
      cleanups.push(() => silent.close());
      const connections: Client[] = [];
      const { wakeups } = listening(() => {
        const one = new Client({ host: "127.0.0.1", port: silent.port, connectionTimeoutMillis: 5_000 });
        connections.push(one);
        return one;
      });
      await until(() => silent.connections > 0);
      await wakeups.close();
      expect(wakeups.hears).toBe(false);
      expect(connections).toHaveLength(2);
    });

    test("ends when it is closed while it listens, and leaves no connection", async () => {
      const { wakeups, woken } = listening(client);
      await until(() => wakeups.hears);
      await Promise.all([wakeups.close(), wakeups.close()]);
      await until(async () => (await backends(watcher)).length === 0);
      wakeups.tell();
      expect(woken()).toBe(1);
    });
  });
});

/** Notifications of news that connections of this process send from now on. */
function countTold(): { readonly sent: number; readonly answered: number } {
  const told = { sent: 0, answered: 0 };
  const query = asMethod(Reflect.get(Client.prototype, "query"));
  Reflect.set(Client.prototype, "query", function (this: Client, ...args: unknown[]) {
    const answer = query.apply(this, args);
    const [text, values] = args;
    if (typeof text === "string" && text.includes("pg_notify") && Array.isArray(values) && values[1] === "") {
      told.sent += 1;
      const onAnswer = (): void => void (told.answered += 1);
      void Promise.resolve(answer).then(onAnswer, onAnswer);
    }
    return answer;
  });
  cleanups.push(() => Reflect.set(Client.prototype, "query", query));
  return told;
}

/** A client that listens and gets no notifications, as one behind a pooler in transaction mode. */
function deaf(client: Client, isDeaf: () => boolean = () => true): WakeupClient {
  const emit = client.emit.bind(client);
  client.emit = (name: string, ...args: unknown[]) =>
    name === "notification" && isDeaf() ? true : emit(name, ...args);
  return client;
}

function override(client: Client, members: Record<string, unknown>): WakeupClient {
  return new Proxy(client, {
    get: (real, name) => {
      if (typeof name === "string" && Object.hasOwn(members, name)) return members[name];
      const member: unknown = Reflect.get(real, name, real);
      return typeof member === "function" ? asMethod(member).bind(real) : member;
    },
  });
}

function asMethod(member: unknown): (...args: unknown[]) => unknown {
  return member as (...args: unknown[]) => unknown;
}
