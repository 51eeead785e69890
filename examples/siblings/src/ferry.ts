/** Of event ids, by when they were sold: the first four have a seat, the others wait. */
export interface Ferry {
  readonly seats: readonly string[];
  readonly waiting: readonly string[];
}

/** What this example needs of an event. */
interface Change {
  readonly type: string;
  readonly data: unknown;
}

export const EMPTY: Ferry = { seats: [], waiting: [] };
const SEATS = 4;

/** The state after an event. The same events in the same order give the same state, wherever they are applied. */
export function apply({ seats, waiting }: Ferry, { type, data }: Change): Ferry {
  const name = String(data);
  if (type === "booked") {
    return seats.length < SEATS ? { seats: [...seats, name], waiting } : { seats, waiting: [...waiting, name] };
  }
  const left = seats.filter((passenger) => passenger !== name);
  const queue = waiting.filter((passenger) => passenger !== name);
  const free = SEATS - left.length;
  return { seats: [...left, ...queue.slice(0, free)], waiting: queue.slice(free) };
}

export function describe({ seats, waiting }: Ferry): string {
  return waiting.length === 0 ? seats.join(", ") : `${seats.join(", ")}; waiting: ${waiting.join(", ")}`;
}
