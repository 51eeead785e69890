import type { Law } from "./law.ts";
import { actorModelLaws } from "./laws/actor-models.ts";
import { actorOutageLaws } from "./laws/actor-outages.ts";
import { actorTransactionLaws } from "./laws/actor-transactions.ts";
import { actorLaws } from "./laws/actors.ts";
import { ancestryLaws } from "./laws/ancestry.ts";
import { appendLaws } from "./laws/append.ts";
import { checkpointLaws } from "./laws/checkpoints.ts";
import { claimLaws } from "./laws/claims.ts";
import { consumerStateStoreLaws } from "./laws/consumer-state-store.ts";
import { consumingLaws } from "./laws/consuming.ts";
import { deadLetterLaws } from "./laws/dead-letters.ts";
import { eventStoreLaws } from "./laws/event-stores.ts";
import { halfWayLaws } from "./laws/half-way.ts";
import { identityLaws } from "./laws/identities.ts";
import { lifetimeLaws } from "./laws/lifetime.ts";
import { memberLaws } from "./laws/members.ts";
import { observerLaws } from "./laws/observers.ts";
import { observationLaws } from "./laws/observations.ts";
import { oddTextLaws } from "./laws/odd-texts.ts";
import { orderLaws } from "./laws/order.ts";
import { parkingLaws } from "./laws/parking.ts";
import { readLaws } from "./laws/read.ts";
import { sagaLaws } from "./laws/sagas.ts";
import { segmentLaws } from "./laws/segments.ts";
import { valueLaws } from "./laws/values.ts";
import { serverLaws } from "./laws/server.ts";
import { transientLaws } from "./laws/transient.ts";
import { versionLaws } from "./laws/versions.ts";
import { waitForLaws } from "./laws/wait-for.ts";
import { zoneLaws } from "./laws/zones.ts";

/** Every promise of Tidemark, in the order in which they are best read. */
export const laws: readonly Law[] = Object.freeze([
  ...appendLaws,
  ...valueLaws,
  ...readLaws,
  ...orderLaws,
  ...zoneLaws,
  ...checkpointLaws,
  ...consumingLaws,
  ...observerLaws,
  ...transientLaws,
  ...claimLaws,
  ...segmentLaws,
  ...versionLaws,
  ...memberLaws,
  ...waitForLaws,
  ...sagaLaws,
  ...halfWayLaws,
  ...consumerStateStoreLaws,
  ...observationLaws,
  ...parkingLaws,
  ...deadLetterLaws,
  ...oddTextLaws,
  ...actorLaws,
  ...ancestryLaws,
  ...identityLaws,
  ...eventStoreLaws,
  ...actorTransactionLaws,
  ...actorOutageLaws,
  ...actorModelLaws,
  ...lifetimeLaws,
  ...serverLaws,
]);

/**
 * The laws of some groups, which are the first parts of ids (`"append"`, `"zones"`): for an adapter in a setting that has no
 * hand in the others. Each setting has to hold them all; this saves time between runs that check all.
 */
export function lawsOf(...groups: readonly string[]): readonly Law[] {
  return laws.filter(({ id }) => groups.includes(id.slice(0, id.indexOf("/"))));
}
