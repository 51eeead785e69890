const ATTEMPTS = 5;
const PAUSE_MS = 1_000;

/**
 * Tries until an attempt succeeds, but only `patienceMs` long before the eyes of the caller: what is not done by then
 * goes on unobserved, for a server that is too busy to let anybody in does what it is told a little later. Never rejects.
 */
export async function insist(attempt: () => Promise<unknown>, patienceMs: number): Promise<void> {
  await Promise.race([tryOften(attempt), pause(patienceMs)]);
}

async function tryOften(attempt: () => Promise<unknown>): Promise<void> {
  for (let attempts = 1; attempts <= ATTEMPTS; attempts++) {
    try {
      await attempt();
      return;
    } catch {
      await pause(PAUSE_MS);
    }
  }
}

/** Does not keep the process alive. */
export function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms).unref();
  });
}
