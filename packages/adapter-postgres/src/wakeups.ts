import { randomUUID } from "node:crypto";
import { abortable, sleep } from "@tidemark/core/spi";
import type { ClientBase, Notification } from "pg";

/** A connection of its own, beside the pool. */
export interface WakeupClient extends Pick<ClientBase, "query" | "connect" | "on" | "off"> {
  end(): Promise<void>;
}

/** In milliseconds. */
export interface WakeupTimes {
  /** How often the listener is asked whether it still hears, and how long its answer may take. */
  readonly probeMs: number;
  readonly answerMs: number;
  /** Between attempts to listen again: as long as this at first, twice as long each time up to the second. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

const WAKEUP_TIMES: WakeupTimes = Object.freeze({
  probeMs: 30_000,
  answerMs: 5_000,
  firstPauseMs: 500,
  longestPauseMs: 60_000,
});

/** The payload of a notification that something was appended. Others are probes, each for whoever has sent it. */
const NEWS = "";
/** How long a connection may take to end. */
const END_MS = 1_000;

/**
 * Tells other processes of appends by NOTIFY and hears of theirs, on two connections of its own. A hint and nothing
 * more: whoever waits for news polls as well. Whether it hears is tried out again and again, because a pooler in
 * transaction mode accepts LISTEN and passes nothing on, and a connection may be dead without a word. Who tells is not
 * who hears: a pooler does pass on what a connection tells itself.
 */
export class Wakeups {
  readonly #connect: () => WakeupClient;
  readonly #channel: string;
  readonly #times: WakeupTimes;
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  /** The connection that tells, while notifications are known to arrive. */
  #teller: WakeupClient | undefined;
  #running: Promise<void> | undefined;
  /** A notification is on its way; another one is due after it. */
  #telling: "idle" | "once" | "again" = "idle";

  constructor(connect: () => WakeupClient, logId: string, times: WakeupTimes = WAKEUP_TIMES) {
    this.#connect = connect;
    this.#channel = `tidemark_${logId.replaceAll("-", "_")}`;
    this.#times = times;
  }

  /** Whether notifications are known to arrive. */
  get hears(): boolean {
    return this.#teller !== undefined;
  }

  listen(wake: () => void): () => void {
    this.#listeners.add(wake);
    this.#running ??= this.#run();
    return () => void this.#listeners.delete(wake);
  }

  /** After a commit, never inside of its transaction: NOTIFY makes commits wait for each other. At most one at a time. */
  tell(): void {
    if (this.#teller === undefined) return;
    if (this.#telling !== "idle") {
      this.#telling = "again";
      return;
    }
    this.#telling = "once";
    void this.#tell(this.#teller);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#listeners.clear();
    await this.#running;
  }

  async #tell(teller: WakeupClient): Promise<void> {
    do {
      this.#telling = "once";
      // A connection that is lost is noticed by the listener.
      await this.#notify(teller, NEWS).catch(() => undefined);
    } while (this.#isDue());
    this.#telling = "idle";
  }

  #isDue(): boolean {
    return this.#telling === "again";
  }

  async #run(): Promise<void> {
    const { firstPauseMs, longestPauseMs } = this.#times;
    const { signal } = this.#stop;
    for (let pause = firstPauseMs; !signal.aborted; pause = Math.min(2 * pause, longestPauseMs)) {
      const heard = await this.#listenOnce(signal);
      if (heard) pause = firstPauseMs;
      await rest(pause, signal);
    }
  }

  /** Listens until a connection is lost or deaf. Whether it ever heard anything. */
  async #listenOnce(stop: AbortSignal): Promise<boolean> {
    const [listener, teller] = [this.#connect(), this.#connect()];
    const lost = new AbortController();
    const onLost = (): void => lost.abort();
    for (const client of [listener, teller]) {
      client.on("error", onLost);
      client.on("end", onLost);
    }
    const over = AbortSignal.any([stop, lost.signal]);
    let heard = false;
    try {
      await abortable(Promise.all([listener.connect(), teller.connect()]), over);
      const probe = this.#prepareProbe(listener, teller);
      const listen = (): Promise<unknown> => listener.query(`listen "${this.#channel}"`);
      if (!(await this.#answers(listen, over))) return false;
      while (await this.#answers(probe, over)) {
        // What was appended while nobody listened.
        if (!heard) this.#wake();
        heard = true;
        this.#teller = teller;
        await rest(this.#times.probeMs, over);
      }
    } catch {
      // Not reachable, or not any more: tried again later.
    } finally {
      this.#teller = undefined;
      const ended = new AbortController();
      void Promise.allSettled([listener.end(), teller.end()]).then(() => ended.abort());
      await rest(END_MS, ended.signal);
    }
    return heard;
  }

  /** What sends a notification, and resolves when the listener has got it. */
  #prepareProbe(listener: WakeupClient, teller: WakeupClient): () => Promise<void> {
    const payload = randomUUID();
    let answered = (): void => undefined;
    listener.on("notification", (notification: Notification) => {
      if (notification.payload === payload) answered();
      else if (notification.payload === NEWS) this.#wake();
    });
    return async () => {
      const answer = new Promise<void>((resolve) => (answered = resolve));
      await this.#notify(teller, payload);
      await answer;
    };
  }

  async #answers(ask: () => Promise<unknown>, over: AbortSignal): Promise<boolean> {
    if (over.aborted) return false;
    const answer = abortable(ask(), over).then(() => true);
    return Promise.race([answer, rest(this.#times.answerMs, over).then(() => false)]);
  }

  #wake(): void {
    for (const wake of this.#listeners) wake();
  }

  async #notify(teller: WakeupClient, payload: string): Promise<void> {
    await teller.query("select pg_notify($1, $2)", [this.#channel, payload]);
  }
}

/** Resolves after `ms`, or at once when `signal` fires. */
function rest(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, signal).catch(() => undefined);
}
