import type { Operation } from "./operation.ts";

/**
 * Which system id an actor's business id stands for, and since when: history that is never rewritten. `type` is the
 * actor's type; ids compare by bytes. Times are milliseconds since 1970, by the database's clock.
 */
export interface IdentityReader {
  /** The system id that `actorId` stood for at `asOf`, inclusive; now when undefined. */
  systemId(type: string, actorId: string, asOf: number | undefined, op: Operation): Promise<string | undefined>;
  /** The actor id that `systemId` had at `asOf`, inclusive; now when undefined. */
  actorId(type: string, systemId: string, asOf: number | undefined, op: Operation): Promise<string | undefined>;
}

/** Identities inside a transaction, and outside, where each call is one. Reads see own writes. */
export interface IdentityPort extends IdentityReader {
  /**
   * Maps the two ids onto each other from now on, by the clock read after both are locked. It begins in a later millisecond
   * than any mapping that either of them has, and waits for that: what an id stood for at a moment is never rewritten. Only
   * where the clock was set back it begins ahead of it. The latest mapping again changes nothing.
   */
  map(type: string, systemId: string, actorId: string, op: Operation): Promise<void>;
  /**
   * The system id that `actorId` stands for now; where it stands for none, maps it to `systemId` and answers that. Of many
   * at once for one actor id, all get the same answer.
   */
  resolve(type: string, actorId: string, systemId: string, op: Operation): Promise<string>;
}
