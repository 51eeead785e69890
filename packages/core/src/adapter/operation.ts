/** What every call takes last. */
export interface Operation {
  /** When it fires, the call ends with ABORTED, and what it would have written happened entirely or not at all. */
  readonly signal?: AbortSignal | undefined;
}
