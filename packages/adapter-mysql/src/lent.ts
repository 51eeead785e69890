import { randomBytes } from "node:crypto";
import { isTidemarkError } from "@tidemark/core";
import type { ResultSetHeader } from "mysql2/promise";
import { Connection, isHeader, isOnlyBegunAfter, type Queryable, takesBackslashes } from "./connection.ts";
import { isDeadlock, isUnknownSavepoint } from "./driver-errors.ts";
import { transactionEnded, unfitSession } from "./errors.ts";
import type { Profile } from "./profile.ts";
import type { Checkout } from "./session.ts";
import { Turns } from "./turns.ts";

/**
 * A transaction that was lent to somebody's code, with the facade through which that code uses it. A savepoint with a
 * random name, the first one, is the mark that dies with the transaction, so a commit or rollback by that code is noticed
 * even when it has begun another transaction since; so is a statement that commits, as those that make tables do.
 */
export class Lent {
  readonly tx: Queryable;
  readonly mark: string = `tidemark_${randomBytes(16).toString("hex")}`;
  /** What it registers under. */
  readonly id: bigint = createRegistrationId();
  /** Whether it has registered since the borrower could last have rolled back to a savepoint. */
  isRegistered = false;
  readonly #checkout: Checkout;
  /** For statements of the store's in the transaction. */
  readonly #entered: Entered;
  /**
   * Of statements of the borrower's and calls of the store's: an append that fails takes back what it has written, and
   * nothing else may be among that.
   */
  readonly turns: Turns = new Turns();
  /** Given up: by the server, in favour of another transaction; or by the store, which could not take back half an append. */
  #state: "open" | "ended" | "given-up" | "revoked" = "open";
  /** The borrower may have set the session otherwise, or a statement has failed that may have done something before. */
  #isInDoubt = false;
  /** Settings of the borrower's with which statements of the store would do something else. */
  readonly #unfit = new Map<string, string>();

  constructor(checkout: Checkout) {
    this.#checkout = checkout;
    this.#entered = { connection: new Connection(guardClient(checkout.client, this)), profile: checkout.profile };
    this.tx = lendClient(checkout.client, this);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Whether it is known that the borrower has ended it. */
  get isEnded(): boolean {
    return this.#state === "ended";
  }

  get connection(): Connection {
    return this.#checkout.connection;
  }

  get checkout(): Checkout {
    return this.#checkout;
  }

  /** Throws TRANSACTION_ENDED once the transaction is known to be over: what follows would be another one. */
  check(): void {
    if (!this.isOpen) throw transactionEnded();
  }

  /**
   * Before statements of the store's: throws where they would be no part of the transaction, or do something else; and puts
   * back what the borrower may have set that even reading depends on.
   */
  async enter(): Promise<Entered> {
    this.check();
    if (this.#isInDoubt) {
      this.#isInDoubt = false;
      this.observe(await this.connection.script(`set session ${this.#checkout.profile.needed}`));
    }
    this.check();
    for (const [setting, got] of this.#unfit) {
      throw unfitSession(setting, got, "Set it back before the store is used.");
    }
    return this.#entered;
  }

  /** Runs a statement of the borrower's. */
  async run(statement: () => Promise<unknown>): Promise<unknown> {
    this.check();
    return this.turns.take(async () => {
      this.check();
      this.isRegistered = false;
      this.#isInDoubt = true;
      this.connection.asks();
      try {
        const answer = await statement();
        for (const result of headersOf(answer)) this.observe(result);
        return answer;
      } catch (error) {
        this.observeFailure(error);
        throw error;
      } finally {
        this.connection.answeredAt = performance.now();
      }
    });
  }

  /** Looks at what the server has said of the transaction and the session with the answer to a statement. */
  observe(header: ResultSetHeader): void {
    if (this.#state === "open" && !isOnlyBegunAfter(header)) this.#state = "ended";
    if (takesBackslashes(header.serverStatus)) this.#unfit.delete("sql_mode");
    else this.#unfit.set("sql_mode", "NO_BACKSLASH_ESCAPES");
    const { schema, systemVariables } = changesIn(header);
    for (const [name, value] of Object.entries(systemVariables ?? {})) {
      if (!/^character_set_(client|connection|results)$/.test(name)) continue;
      if (value === "utf8mb4") this.#unfit.delete(name);
      else this.#unfit.set(name, value);
    }
    // Whoever gets the connection next is not used to that database.
    if (typeof schema === "string") this.#checkout.destroy();
  }

  /** A borrower that takes no notice of a deadlock would go on in another transaction. */
  observeFailure(error: unknown): void {
    this.#isInDoubt = true;
    if (this.#state === "open" && isDeadlock(error)) this.#state = "given-up";
  }

  /** From here on it cannot be committed. */
  giveUp(): void {
    if (this.#state === "open") this.#state = "given-up";
  }

  /** Throws TRANSACTION_ENDED unless this still is the transaction that was lent. */
  async verify(): Promise<void> {
    this.check();
    // Sent one right after the other: whoever verifies meanwhile must find the mark.
    await Promise.all([this.release(), this.connection.script(`savepoint ${this.mark}`)]);
  }

  /** The same, once and for all: before COMMIT. */
  async release(): Promise<void> {
    try {
      await this.connection.script(`release savepoint ${this.mark}`);
    } catch (error) {
      if (!isUnknownSavepoint(error)) throw error;
      this.#state = "ended";
      throw transactionEnded(error);
    }
  }

  /** Whether the borrower has ended it. Undefined when it cannot be asked: on a connection that is lost. */
  async isGone(): Promise<boolean | undefined> {
    try {
      await this.verify();
      return false;
    } catch (error) {
      return isTidemarkError(error, "TRANSACTION_ENDED") ? true : undefined;
    }
  }

  /** From here on every call through the facade is refused. */
  revoke(): void {
    if (this.#state === "open") this.#state = "revoked";
  }
}

/** Above all numbers of sessions. */
export function createRegistrationId(): bigint {
  return randomBytes(8).readBigUInt64LE() | (1n << 62n);
}

/** What statements of the store's run on inside of a transaction. */
export interface Entered {
  readonly connection: Connection;
  readonly profile: Profile;
}

/**
 * The client for what the store does in the transaction, which is refused once that is over: somebody who was half-way
 * when the signal fired would go on in whatever the connection is used for by then.
 */
function guardClient(client: Queryable, lent: Lent): Queryable {
  const guard =
    (method: "query" | "execute") =>
    async (...args: readonly unknown[]): Promise<unknown> => {
      lent.check();
      lent.connection.asks();
      const answer: unknown = await Reflect.apply(client[method], client, args);
      lent.connection.answeredAt = performance.now();
      return answer;
    };
  const config = "config" in client ? { config: client.config } : {};
  return asQueryable({ query: guard("query"), execute: guard("execute"), ...config });
}

/** The client, of which only statements are lent: what it is connected to, and for how long, is not the borrower's. */
function lendClient(client: Queryable, lent: Lent): Queryable {
  const lend =
    (method: "query" | "execute") =>
    async (...args: readonly unknown[]): Promise<unknown> =>
      lent.run(async () => {
        const answer: unknown = await Reflect.apply(client[method], client, args);
        return answer;
      });
  return asQueryable(Object.freeze({ query: lend("query"), execute: lend("execute") }));
}

/** What the driver's types do not show: what the server has said that the statement has changed of the session. */
interface Changes {
  readonly schema?: string | null;
  readonly systemVariables?: Readonly<Record<string, string>>;
}

function changesIn(header: ResultSetHeader): Changes {
  return "stateChanges" in header ? (header.stateChanges as Changes) : {};
}

/** The driver gives fields with rows, and none with what yields no rows; of several results, lists of both. */
function headersOf(answer: unknown): readonly ResultSetHeader[] {
  const [result, fields] = asAnswer(answer);
  if (fields === undefined) return [result].filter(isHeader);
  if (!Array.isArray(result)) return [];
  const results: readonly unknown[] = result;
  return fields.flatMap((field, index) => (field === undefined ? [results[index]].filter(isHeader) : []));
}

function asAnswer(answer: unknown): readonly [result: unknown, fields: readonly unknown[] | undefined] {
  return answer as readonly [result: unknown, fields: readonly unknown[] | undefined];
}

function asQueryable(facade: object): Queryable {
  return facade as Queryable;
}
