import { isTransient } from "../errors.ts";
import { backoff, sleep } from "../store/timing.ts";
import { TRANSIENT_RETRY } from "./failure.ts";

/**
 * Runs a call of the consumer's own. What fails for a transient reason is waited out; when it lasts, the last failure is
 * thrown. Rejects with ABORTED when `signal` fires while it has to be waited; the call itself is not interrupted.
 */
export async function patiently<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!isTransient(error) || attempt >= TRANSIENT_RETRY.attempts) throw error;
      await sleep(backoff(attempt, TRANSIENT_RETRY), signal);
    }
  }
}
