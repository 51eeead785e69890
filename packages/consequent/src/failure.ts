/** What failed without consequent telling anybody. */
export interface SwallowedFailure {
  readonly call: "store" | "storeEventPack";
  readonly actorType: string;
  /** The id that the call was given: of a snapshot the business id, of a pack the system id. */
  readonly id: string;
  readonly error: unknown;
}

/** Told of failures that consequent swallows. What it throws is ignored. */
export type OnFailure = (failure: SwallowedFailure) => void;

/** Does `work`; tells of its failure, and fails. */
export async function telling<T>(
  onFailure: OnFailure | undefined,
  where: Omit<SwallowedFailure, "error">,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    tell(onFailure, { ...where, error });
    throw error;
  }
}

/** What the listener throws, at once or later, is nobody's. */
export function tell<T>(listener: ((news: T) => void) | undefined, news: T): void {
  const call = async (): Promise<unknown> => listener?.(news);
  call().catch(() => undefined);
}
