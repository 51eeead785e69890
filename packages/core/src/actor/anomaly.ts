import type { ActorRef } from "../adapter/snapshots.ts";

/** Something in an actor's ancestry that should not be. It ends a chain at most; nothing is refused for it but `other-state`. */
export type Anomaly =
  /** Going from `vector` on to its ancestor comes back to `vector`. Of a circle it is the least, by bytes. */
  | { readonly kind: "cycle"; readonly actor: ActorRef; readonly vector: string; readonly ancestor: string }
  /** The ancestor of `vector` is not stored. */
  | { readonly kind: "missing-link"; readonly actor: ActorRef; readonly vector: string; readonly ancestor: string }
  /** The vector is not after its ancestor's. */
  | {
      readonly kind: "not-after-ancestor";
      readonly actor: ActorRef;
      readonly vector: string;
      readonly ancestor: string;
    }
  /** Another state was to be stored with a vector that is stored: refused with SNAPSHOT_CONFLICT. */
  | { readonly kind: "other-state"; readonly actor: ActorRef; readonly vector: string; readonly snapshotId: string };

/** Told of each anomaly that a call comes upon, once a call. What it throws is ignored. */
export type OnAnomaly = (anomaly: Anomaly) => void;

/** An anomaly of links, of an actor that whoever reports it knows. */
export type LinkAnomaly = DistributiveOmit<Exclude<Anomaly, { readonly kind: "other-state" }>, "actor">;

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Tells `onAnomaly` of each anomaly once. Its own failures are not the caller's, at once or later. */
export function createReport(onAnomaly: OnAnomaly | undefined): OnAnomaly {
  const told = new Set<string>();
  return (anomaly) => {
    const key = `${anomaly.kind}\0${anomaly.vector}`;
    if (onAnomaly === undefined || told.has(key)) return;
    told.add(key);
    const tell = async (): Promise<unknown> => onAnomaly(anomaly);
    tell().catch(() => undefined);
  };
}
