import { type SnapshotLink, vectorClock } from "@tidemark/core";

/** Snapshots as a tree of what was made from what, a line each. */
export function drawTree(links: readonly SnapshotLink[]): readonly string[] {
  const vectors = new Set(links.map(({ vector }) => vector));
  const roots = links.filter(({ ancestor }) => ancestor === undefined || !vectors.has(ancestor));
  return roots.flatMap((root) => draw(root, links, "", ""));
}

function draw(link: SnapshotLink, links: readonly SnapshotLink[], first: string, rest: string): readonly string[] {
  const children = links.filter(({ ancestor }) => ancestor === link.vector);
  return [
    `${first}${link.vector}${noteOn(link, links)}`,
    ...children.flatMap((child, index) => {
      const isLast = index === children.length - 1;
      return draw(child, links, `${rest}${isLast ? "└─ " : "├─ "}`, `${rest}${isLast ? "   " : "│  "}`);
    }),
  ];
}

function noteOn({ vector }: SnapshotLink, links: readonly SnapshotLink[]): string {
  const all = links.map((link) => link.vector);
  const before = all.filter((other) => isAfter(vector, other));
  const healed = before.filter((other) => !before.some((between) => isAfter(between, other)));
  const heads = all.filter((head) => !all.some((other) => isAfter(other, head)));
  const standing = !heads.includes(vector) ? [] : [heads.length > 1 ? "sibling" : "latest"];
  const notes = [...(healed.length > 1 ? [`heals ${healed.join(" and ")}`] : []), ...standing];
  return notes.length === 0 ? "" : `  (${notes.join(", ")})`;
}

function isAfter(a: string, b: string): boolean {
  return vectorClock.compare(a, b) === "after";
}
