import { override } from "@tidemark/conformance";
import type { Consumers, ConsumerSight, Members, Store } from "@tidemark/core";

/** A store that tells something else when consumers are looked at. */
export function seeing<Tx>(real: Store<Tx>, change: (sight: ConsumerSight) => ConsumerSight): Store<Tx> {
  return withConsumers(real, (consumers) => ({
    look: async (inputs, options) => {
      const sights = await consumers.look(inputs, options);
      return sights.map((sight) => sight && change(sight));
    },
  }));
}

export function withConsumers<Tx>(real: Store<Tx>, change: (consumers: Consumers) => Partial<Consumers>): Store<Tx> {
  const consumers = override(real.consumers, change);
  return override(real, () => ({ consumers }));
}

export function withMembers<Tx>(real: Store<Tx>, change: (members: Members) => Partial<Members>): Store<Tx> {
  const members = override(real.members, change);
  return override(real, () => ({ members }));
}
