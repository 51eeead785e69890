/** An order of rows that belong together. */
export interface Order<Row> {
  /** What the row belongs to; undefined where it is not in this order. */
  readonly group: (row: Row) => string | undefined;
  /** Zero for one and the same row only. */
  readonly compare: (a: Row, b: Row) => number;
}

/** Whether a row comes before the place that is looked for: of a group in its order, none does behind one that does not. */
export type IsBefore<Row> = (row: Row) => boolean;

export interface Entry<Row> {
  readonly key: string;
  readonly row: Row;
}

/** Rows of each group in an order: a place among them is found by halving. */
export class SortedRows<Row> {
  readonly #order: Order<Row>;
  readonly #groups = new Map<string, Entry<Row>[]>();

  constructor(order: Order<Row>) {
    this.#order = order;
  }

  replace(key: string, before: Row | undefined, after: Row | undefined): void {
    if (before !== undefined) this.#remove(before);
    if (after !== undefined) this.#insert({ key, row: after });
  }

  /** The rows behind the place, the nearest first. */
  *upward(group: string, isBefore: IsBefore<Row>): Generator<Entry<Row>, void, undefined> {
    const entries = this.#groups.get(group) ?? [];
    for (let at = placeIn(entries, isBefore); ; at++) {
      const entry = entries[at];
      if (entry === undefined) return;
      yield entry;
    }
  }

  /** The rows before the place, the nearest first. */
  *downward(group: string, isBefore: IsBefore<Row>): Generator<Entry<Row>, void, undefined> {
    const entries = this.#groups.get(group) ?? [];
    for (let at = placeIn(entries, isBefore) - 1; ; at--) {
      const entry = entries[at];
      if (entry === undefined) return;
      yield entry;
    }
  }

  #insert(entry: Entry<Row>): void {
    const group = this.#order.group(entry.row);
    if (group === undefined) return;
    const entries = this.#groups.get(group);
    if (entries === undefined) this.#groups.set(group, [entry]);
    else entries.splice(this.#placeOf(entries, entry.row), 0, entry);
  }

  #remove(row: Row): void {
    const group = this.#order.group(row);
    const entries = group === undefined ? undefined : this.#groups.get(group);
    if (group === undefined || entries === undefined) return;
    entries.splice(this.#placeOf(entries, row), 1);
    if (entries.length === 0) this.#groups.delete(group);
  }

  #placeOf(entries: readonly Entry<Row>[], row: Row): number {
    return placeIn(entries, (other) => this.#order.compare(other, row) < 0);
  }
}

/** How many rows are before the place. */
function placeIn<Row>(entries: readonly Entry<Row>[], isBefore: IsBefore<Row>): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle];
    if (entry !== undefined && isBefore(entry.row)) low = middle + 1;
    else high = middle;
  }
  return low;
}
