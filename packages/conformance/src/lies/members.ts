import type { Adapter, MemberRecords } from "@tidemark/core/spi";
import { override, type Tooth } from "../law.ts";

/** A store whose members differ from the real ones. */
export function membersThat(lie: string, change: (members: MemberRecords) => Partial<MemberRecords>): Tooth {
  return {
    lie,
    adapter: <Tx>(real: Adapter<Tx>) => override(real, () => ({ members: override(real.members, change) })),
  };
}
