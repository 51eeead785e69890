/**
 * What an adapter can do beyond what every adapter must. A frozen constant that the adapter exports. A capability that
 * is off is enforced: what needs it is refused with UNSUPPORTED, or a twin law says what happens instead.
 */
export interface Capabilities {
  /** What was committed is there after the process ended. */
  readonly durable: boolean;
  /** Several processes may use one database at once. */
  readonly shared: boolean;
  /** Two transactions may append to different aggregates at once; when off, the second waits for the first. */
  readonly concurrentWriters: boolean;
  /** A lent transaction is refused once the work that it was lent to has returned. */
  readonly revocableTx: boolean;
  /** Tables made inside a transaction vanish with it; when off, such a statement commits and is detected. */
  readonly transactionalDdl: boolean;
  /** The database tells other processes of an append; when off, they learn of it by polling. */
  readonly wakeups: boolean;
}

/**
 * What a lent transaction does to other calls on the same store while it is open: nothing; make writes wait; make all
 * calls wait. Lets core refuse at once a call that would wait for its own caller.
 */
export type Lending = "beside" | "blocks-writes" | "blocks-all";
