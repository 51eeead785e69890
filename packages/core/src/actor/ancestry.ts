import type { SnapshotLink } from "../adapter/snapshots.ts";
import { compareBytes } from "../values/text.ts";
import { compare } from "../values/vector-clock.ts";
import type { LinkAnomaly } from "./anomaly.ts";

const FIRST_PAGE = 32;
const LARGEST_PAGE = 1_000;

/** What walking through ancestors needs. */
export interface Walk {
  /** As `SnapshotReader.chain`, of one actor. */
  readonly read: (vector: string, limit: number) => Promise<readonly SnapshotLink[]>;
  /** Vectors at which a chain ends, without them. */
  readonly excluded: ReadonlySet<string>;
  readonly report: (anomaly: LinkAnomaly) => void;
}

/**
 * The link of the snapshot with this vector, then its ancestor's, and so on, read in growing pages. Ends at a snapshot
 * without an ancestor, before an excluded one, where one is not stored, and before one that this chain has been at:
 * what has been visited is remembered per chain, because chains that meet are no circle.
 */
export async function* walkChain(from: string, walk: Walk): AsyncGenerator<SnapshotLink, void, undefined> {
  if (walk.excluded.has(from)) return;
  const visited = new Map<string, SnapshotLink>();
  let next: string | undefined = from;
  let last: SnapshotLink | undefined;
  for (let size = FIRST_PAGE; next !== undefined; size = Math.min(size * 4, LARGEST_PAGE)) {
    const page: readonly SnapshotLink[] = await walk.read(next, size);
    for (const link of page) {
      if (visited.has(link.vector)) {
        walk.report(cycleAnomaly(circleFrom(link.vector, visited)));
        return;
      }
      visited.set(link.vector, link);
      if (isOutOfOrder(link)) walk.report({ kind: "not-after-ancestor", vector: link.vector, ancestor: link.ancestor });
      yield link;
      if (link.ancestor !== undefined && walk.excluded.has(link.ancestor)) return;
      last = link;
    }
    next = page.length === size ? last?.ancestor : undefined;
    if (page.length < size && hasAncestor(last)) {
      walk.report({ kind: "missing-link", vector: last.vector, ancestor: last.ancestor });
    }
  }
}

/**
 * The nearest vector that all chains share, each chain beginning with its own: the one that is the fewest links away
 * from the chain that is the farthest from it; of several, the one with the fewest links to all, then the least by bytes.
 * (Chains that have met stay together, so there are several only in circles.) Reads chains side by side, and no farther
 * than to there.
 */
export async function findSharedVector(from: readonly string[], walk: Walk): Promise<string | undefined> {
  let open = [...new Set(from)].map((vector) => walkChain(vector, walk));
  const chains = open.length;
  const seen = new Map<string, { chains: number; links: number }>();
  for (let depth = 0; open.length > 0; depth++) {
    const shared: { readonly vector: string; readonly links: number }[] = [];
    const going: typeof open = [];
    for (const chain of open) {
      const { done, value: link } = await chain.next();
      if (done === true) continue;
      going.push(chain);
      const sight = seen.get(link.vector) ?? { chains: 0, links: 0 };
      sight.chains += 1;
      sight.links += depth;
      seen.set(link.vector, sight);
      if (sight.chains === chains) shared.push({ vector: link.vector, links: sight.links });
    }
    const [nearest] = shared.sort((a, b) => a.links - b.links || compareBytes(a.vector, b.vector));
    if (nearest !== undefined) return nearest.vector;
    open = going;
  }
  return undefined;
}

/** What {@link inspectLinks} found. */
export interface LinkInspection {
  readonly snapshots: number;
  /** At most as many as were asked for; links in the order in which they came, then circles. */
  readonly anomalies: readonly LinkAnomaly[];
  /** Whether there are more. */
  readonly more: boolean;
}

/** Looks for anomalies in all links of an actor. Remembers two vectors for each of them. */
export async function inspectLinks(links: AsyncIterable<SnapshotLink>, limit: number): Promise<LinkInspection> {
  const all = new Map<string, SnapshotLink>();
  for await (const link of links) all.set(link.vector, link);
  const anomalies: LinkAnomaly[] = [];
  for (const anomaly of findAnomalies(all)) {
    if (anomalies.length === limit) return { snapshots: all.size, anomalies, more: true };
    anomalies.push(anomaly);
  }
  return { snapshots: all.size, anomalies, more: false };
}

function* findAnomalies(links: ReadonlyMap<string, SnapshotLink>): Generator<LinkAnomaly, void, undefined> {
  for (const link of links.values()) {
    const { vector } = link;
    if (isOutOfOrder(link)) yield { kind: "not-after-ancestor", vector, ancestor: link.ancestor };
    if (hasAncestor(link) && !links.has(link.ancestor)) yield { kind: "missing-link", vector, ancestor: link.ancestor };
  }
  const walkedFrom = new Map<string, string>();
  for (const start of links.keys()) {
    let at = links.get(start);
    while (at !== undefined && !walkedFrom.has(at.vector)) {
      walkedFrom.set(at.vector, start);
      at = at.ancestor === undefined ? undefined : links.get(at.ancestor);
    }
    if (at !== undefined && walkedFrom.get(at.vector) === start) yield cycleAnomaly(circleFrom(at.vector, links));
  }
}

/** The links of the circle that goes through `vector`. */
function circleFrom(vector: string, links: ReadonlyMap<string, SnapshotLink>): readonly SnapshotLink[] {
  const circle: SnapshotLink[] = [];
  let at = links.get(vector);
  while (at !== undefined) {
    circle.push(at);
    at = at.ancestor === undefined || at.ancestor === vector ? undefined : links.get(at.ancestor);
  }
  return circle;
}

function cycleAnomaly(circle: readonly SnapshotLink[]): LinkAnomaly {
  const { vector, ancestor } = circle.reduce((a, b) => (compareBytes(a.vector, b.vector) < 0 ? a : b));
  if (ancestor === undefined) throw new TypeError("A circle of links has an end.");
  return { kind: "cycle", vector, ancestor };
}

interface LinkWithAncestor extends SnapshotLink {
  readonly ancestor: string;
}

function isOutOfOrder(link: SnapshotLink): link is LinkWithAncestor {
  return link.ancestor !== undefined && compare(link.vector, link.ancestor) !== "after";
}

/** Whether there should be a snapshot before it: one that was made from the empty vector may be the first. */
function hasAncestor(link: SnapshotLink | undefined): link is LinkWithAncestor {
  return link?.ancestor !== undefined && link.ancestor !== "";
}
