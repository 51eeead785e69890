import type { Adapter } from "../adapter/adapter.ts";
import type { ConsumerKey, ConsumerRow, Promotion } from "../adapter/consumers.ts";
import type { Operation } from "../adapter/operation.ts";
import { TidemarkError } from "../errors.ts";
import { invalid } from "../store/requests.ts";
import { type ConsumerInput, consumerLabel, resolveConsumer } from "./name.ts";
import { refuseOtherLog, unknownConsumer, versionActive } from "./refusals.ts";

/** Versions of one consumer, of which one is active. */
export interface Versions {
  /**
   * Puts a version in the place of the active one, in one transaction: both are fenced, `to` is active and enabled, and
   * `from` is disabled. Nothing happens when `to` is active already. Both must have the same segments at equal positions: let the new one catch up, disable the old
   * one, let the new one get to where that has stopped.
   *
   * Errors: PROMOTION_REFUSED, with the reason; CONSUMER_UNKNOWN; CONSUMER_MISMATCH when one is not of the other's kind;
   * LOG_MISMATCH; INVALID_ARGUMENT, also for sagas, whose state cannot be built twice.
   */
  promote(name: string, versions: { readonly from: number; readonly to: number }, op?: Operation): Promise<void>;
  /**
   * Forgets a version that is not active, as `delete` does. What it has written itself, such as the tables of a read
   * model, is yours to drop. Does nothing for one that is not there. Errors: VERSION_ACTIVE.
   */
  retire(consumer: ConsumerInput, op?: Operation): Promise<void>;
}

export interface VersionsParts {
  readonly adapter: Pick<Adapter<never>, "consumers">;
  readonly call: <T>(name: string, writes: boolean, work: () => Promise<T>) => Promise<T>;
  readonly onEnabled: (key: ConsumerKey, enabled: boolean) => void;
}

export function createVersions({ adapter, call, onEnabled }: VersionsParts): Versions {
  const records = adapter.consumers;
  return {
    promote: async (name, versions, op = {}) => {
      const from = resolveConsumer({ name, version: versions.from });
      const to = resolveConsumer({ name, version: versions.to });
      if (from.version === to.version) throw invalid("versions", "promote takes two versions of one consumer.");
      await call("consumers.promote", true, async () => {
        const [before, after] = [await records.get(from, op), await records.get(to, op)];
        refuseToReplace(declared(before, from), declared(after, to));
        // Done before: by a call whose answer was lost, or by somebody else.
        if (after?.active === true) return;
        const outcome = await records.promote(name, from.version, to.version, op);
        if (outcome !== "done") throw refusal(outcome, from, to);
        onEnabled(from, false);
        onEnabled(to, true);
      });
    },
    retire: async (consumer, op = {}) => {
      const key = resolveConsumer(consumer);
      await call("consumers.retire", true, async () => {
        const isActive = (await records.get(key, op))?.active === true;
        if (isActive || (await records.remove(key, op)) === "active") throw versionActive(key);
      });
    },
  };
}

function declared(row: ConsumerRow | undefined, key: ConsumerKey): ConsumerRow {
  if (row?.kind === undefined) throw unknownConsumer(key);
  return row;
}

function refuseToReplace(before: ConsumerRow, after: ConsumerRow): void {
  const consumer = consumerLabel(after.key);
  if (before.kind === "saga" || after.kind === "saga") {
    throw invalid(
      "name",
      `${consumer} is a saga: what it has appended and started cannot be done a second time beside itself. Give the ` +
        "new one another name, and a start at the position where you stop the old one.",
    );
  }
  if (before.kind !== after.kind) {
    throw new TidemarkError(
      "CONSUMER_MISMATCH",
      `${consumer} is a ${after.kind} and cannot take the place of a ${before.kind}. Use another name.`,
      { consumer, stored: String(before.kind), given: String(after.kind) },
    );
  }
  if (before.logId !== undefined) refuseOtherLog(after, before.logId);
}

function refusal(
  outcome: Exclude<Promotion, "done">,
  from: ConsumerKey,
  to: ConsumerKey,
): TidemarkError<"PROMOTION_REFUSED" | "CONSUMER_UNKNOWN"> {
  if (outcome === "unknown") return unknownConsumer(to);
  const [old, consumer] = [`${from.name} (version ${from.version})`, `${to.name} (version ${to.version})`];
  const words = {
    inactive: `${old} is not the active version. See by consumers.list which one is, and name that.`,
    segments:
      `${consumer} and ${old} have not the same number of segments, or one of them is on its way to another. Call ` +
      "consumers.resegment for the new one, and let it get there.",
    positions:
      `${consumer} and ${old} do not stand at the same positions. Let the new one catch up, disable the old one, and ` +
      "call again when the new one has got to where that has stopped.",
  };
  return new TidemarkError("PROMOTION_REFUSED", `Nothing was changed: ${words[outcome]}`, {
    consumer,
    reason: outcome,
  });
}
