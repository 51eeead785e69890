/** A handler's error and, where it is known, which event of the batch it was about. */
export class HandlerFailure extends Error {
  readonly index: number | undefined;

  constructor(cause: unknown, index: number | undefined) {
    super("A handler failed.", { cause });
    this.index = index;
  }
}

/** Thrown to roll back a batch that was asked to stop before its first event. */
export class StopRequested extends Error {}

/** Runs a handler; what it throws becomes a {@link HandlerFailure} of event `index`. */
export async function handled(run: () => unknown, index: number | undefined): Promise<void> {
  try {
    await run();
  } catch (error) {
    throw new HandlerFailure(error, index);
  }
}
