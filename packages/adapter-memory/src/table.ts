import type { Operation } from "@tidemark/core/spi";
import { type LockOwner, RowLock } from "./locks.ts";
import { type Entry, type IsBefore, type Order, SortedRows } from "./sorted-rows.ts";

/** What one open transaction has to do with a table. */
interface Share<Row> {
  /** Rows that it has locked or waits for. */
  readonly locked: Set<string>;
  /** What it has written and nobody else sees yet; undefined where it has deleted. */
  readonly writes: Map<string, Row | undefined>;
  readonly index: Index<Row>;
  readonly sorted: Sorted<Row>;
}

type Sorted<Row> = ReadonlyMap<Order<Row>, SortedRows<Row>>;

/**
 * Rows by key, in transactions. Who reads sees what is committed, and its own writes on top (read committed); who
 * writes locks the row first, and keeps the lock until its transaction ends (two-phase locking).
 *
 * An index finds rows by what they hold. It has no locks: two transactions that write rows which are found alike do not
 * wait for each other.
 */
export class Table<Row> {
  readonly #rows = new Map<string, Row>();
  readonly #locks = new Map<string, RowLock>();
  readonly #shares = new Map<LockOwner, Share<Row>>();
  readonly #terms: Terms<Row>;
  readonly #index: Index<Row>;
  readonly #orders: readonly Order<Row>[];
  readonly #sorted: Sorted<Row>;

  /** `terms` are what a row is found by, beside its key; `orders` those in which rows can be gone through. */
  constructor(terms: Terms<Row> = () => [], orders: readonly Order<Row>[] = []) {
    this.#terms = terms;
    this.#index = new Index(terms);
    this.#orders = orders;
    this.#sorted = sortedBy(orders);
  }

  get(key: string, transaction?: LockOwner): Row | undefined {
    const writes = this.#writesOf(transaction);
    return writes?.has(key) === true ? writes.get(key) : this.#rows.get(key);
  }

  entries(transaction?: LockOwner): ReadonlyMap<string, Row> {
    const rows = new Map(this.#rows);
    for (const [key, row] of this.#writesOf(transaction) ?? []) change(rows, key, row);
    return rows;
  }

  /** The rows with this term, in no order. Not to be held open over an await. */
  *find(term: string, transaction?: LockOwner): Generator<Row, void, undefined> {
    const share = transaction === undefined ? undefined : this.#shares.get(transaction);
    for (const key of this.#index.keys(term)) {
      const row = this.#rows.get(key);
      if (row !== undefined && share?.writes.has(key) !== true) yield row;
    }
    for (const key of share?.index.keys(term) ?? []) {
      const row = share?.writes.get(key);
      if (row !== undefined) yield row;
    }
  }

  /** Rows of the group behind the place, the nearest first. Not to be held open over an await. */
  upward(order: Order<Row>, group: string, isBefore: IsBefore<Row>, transaction?: LockOwner): Iterable<Row> {
    const share = transaction === undefined ? undefined : this.#shares.get(transaction);
    const committed = unchanged(this.#sorted.get(order)?.upward(group, isBefore), share);
    return merged(committed, share?.sorted.get(order)?.upward(group, isBefore), order.compare);
  }

  /** Rows of the group before the place, the nearest first. Not to be held open over an await. */
  downward(order: Order<Row>, group: string, isBefore: IsBefore<Row>, transaction?: LockOwner): Iterable<Row> {
    const share = transaction === undefined ? undefined : this.#shares.get(transaction);
    const committed = unchanged(this.#sorted.get(order)?.downward(group, isBefore), share);
    return merged(committed, share?.sorted.get(order)?.downward(group, isBefore), (a, b) => order.compare(b, a));
  }

  lock(key: string, transaction: LockOwner, op: Operation): Promise<void> {
    // Noted before it is had: a lock that is granted to a transaction in the moment of its end must be left as well.
    this.#share(transaction).locked.add(key);
    return this.#lockOf(key).take(transaction, op);
  }

  /** Locks the row unless another transaction has it locked. */
  tryLock(key: string, transaction: LockOwner): boolean {
    const taken = this.#lockOf(key).tryTake(transaction);
    if (taken) this.#share(transaction).locked.add(key);
    return taken;
  }

  /** Writes a row that the transaction has locked; `undefined` deletes it. */
  set(key: string, row: Row | undefined, transaction: LockOwner): void {
    if (this.#locks.get(key)?.holder !== transaction) throw new Error("A row is locked before it is written.");
    const { writes, index, sorted } = this.#share(transaction);
    const before = writes.get(key);
    index.replace(key, before, row);
    for (const rows of sorted.values()) rows.replace(key, before, row);
    writes.set(key, row);
  }

  /** Makes the transaction's writes everyone's, or forgets them, and lets go of its locks. */
  end(transaction: LockOwner, outcome: "committed" | "rolled-back"): void {
    const share = this.#shares.get(transaction);
    if (share === undefined) return;
    this.#shares.delete(transaction);
    if (outcome === "committed") {
      for (const [key, row] of share.writes) {
        const before = this.#rows.get(key);
        this.#index.replace(key, before, row);
        for (const rows of this.#sorted.values()) rows.replace(key, before, row);
        change(this.#rows, key, row);
      }
    }
    for (const key of share.locked) this.#unlock(key, transaction);
  }

  #writesOf(transaction: LockOwner | undefined): ReadonlyMap<string, Row | undefined> | undefined {
    return transaction === undefined ? undefined : this.#shares.get(transaction)?.writes;
  }

  #share(transaction: LockOwner): Share<Row> {
    const known = this.#shares.get(transaction);
    if (known !== undefined) return known;
    const share: Share<Row> = {
      locked: new Set(),
      writes: new Map(),
      index: new Index(this.#terms),
      sorted: sortedBy(this.#orders),
    };
    this.#shares.set(transaction, share);
    return share;
  }

  #lockOf(key: string): RowLock {
    const known = this.#locks.get(key);
    if (known !== undefined) return known;
    const lock = new RowLock();
    this.#locks.set(key, lock);
    return lock;
  }

  #unlock(key: string, transaction: LockOwner): void {
    const lock = this.#locks.get(key);
    lock?.leave(transaction);
    if (lock?.holder === undefined) this.#locks.delete(key);
  }
}

type Terms<Row> = (row: Row) => readonly string[];

/** Keys of rows, by their terms. */
class Index<Row> {
  readonly #terms: Terms<Row>;
  readonly #keys = new Map<string, Set<string>>();

  constructor(terms: Terms<Row>) {
    this.#terms = terms;
  }

  keys(term: string): Iterable<string> {
    return this.#keys.get(term) ?? [];
  }

  replace(key: string, before: Row | undefined, after: Row | undefined): void {
    if (before !== undefined) for (const term of this.#terms(before)) this.#remove(term, key);
    if (after !== undefined) for (const term of this.#terms(after)) this.#add(term, key);
  }

  #add(term: string, key: string): void {
    const keys = this.#keys.get(term);
    if (keys === undefined) this.#keys.set(term, new Set([key]));
    else keys.add(key);
  }

  #remove(term: string, key: string): void {
    const keys = this.#keys.get(term);
    keys?.delete(key);
    if (keys?.size === 0) this.#keys.delete(term);
  }
}

function sortedBy<Row>(orders: readonly Order<Row>[]): Sorted<Row> {
  return new Map(orders.map((order) => [order, new SortedRows(order)]));
}

type Entries<Row> = Iterator<Entry<Row>, unknown, undefined>;

/** Those that the transaction has not written itself. */
function* unchanged<Row>(
  entries: Iterable<Entry<Row>> = [],
  share: Share<Row> | undefined,
): Generator<Entry<Row>, void, undefined> {
  for (const entry of entries) if (share?.writes.has(entry.key) !== true) yield entry;
}

/** Two that are in order, as one that is. */
function* merged<Row>(
  committed: Entries<Row>,
  own: Entries<Row> | undefined,
  compare: Order<Row>["compare"],
): Generator<Row, void, undefined> {
  let [left, right] = [nextOf(committed), nextOf(own)];
  while (left !== undefined || right !== undefined) {
    if (right === undefined || (left !== undefined && compare(left, right) < 0)) {
      if (left !== undefined) yield left;
      left = nextOf(committed);
    } else {
      yield right;
      right = nextOf(own);
    }
  }
}

function nextOf<Row>(entries: Entries<Row> | undefined): Row | undefined {
  const next = entries?.next();
  return next === undefined || next.done === true ? undefined : next.value.row;
}

function change<Row>(rows: Map<string, Row>, key: string, row: Row | undefined): void {
  if (row === undefined) rows.delete(key);
  else rows.set(key, row);
}
