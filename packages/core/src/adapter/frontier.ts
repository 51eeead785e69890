import type { Position } from "../values/position.ts";

/** A transaction that has appended and is still open. */
export interface FrontierHolderRow {
  /** The last position that readers get past it: everything above waits for its end. Below its first event's. */
  readonly position: Position;
  /**
   * Since when it is open, in milliseconds since 1970 by the database's clock; since its first append, where the begin
   * is not known. Undefined when the database does not tell.
   */
  readonly since: number | undefined;
  /** What to look for in the database's own tools: a process id, the name of a prepared transaction. */
  readonly session: string;
  /** What its connection calls itself. */
  readonly application: string | undefined;
}
