import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  findSharedVector,
  inspectLinks,
  type LinkAnomaly,
  type SnapshotLink,
  type Walk,
  walkChain,
} from "@tidemark/core/spi";

/** Vector and ancestor of each snapshot. */
type Links = Readonly<Record<string, string | undefined>>;

describe("findSharedVector", () => {
  test("finds the nearest that two chains share", async () => {
    const links = { "a:1": undefined, "a:2": "a:1", "a:2;b:1": "a:2", "a:2;b:2": "a:2;b:1", "a:3": "a:2" };
    expect(await shared(links, ["a:2;b:2", "a:3"])).toEqual({ vector: "a:2", anomalies: [], reads: 2 });
  });

  test("finds what three share, though two share something nearer", async () => {
    const links = { "a:1": "", "a:2": "a:1", "a:2;b:1": "a:2", "a:2;c:1": "a:2", "a:1;d:1": "a:1" };
    expect(await shared(links, ["a:2;b:1", "a:2;c:1", "a:1;d:1"])).toMatchObject({ vector: "a:1", anomalies: [] });
  });

  test("takes chains that meet for no circle", async () => {
    const links = { "a:1": undefined, "a:2": "a:1", "a:3": "a:2", "a:2;b:1": "a:2" };
    expect(await shared(links, ["a:3", "a:2;b:1", "a:3"])).toMatchObject({ vector: "a:2", anomalies: [] });
  });

  test("finds none where chains share none, and where none is given", async () => {
    expect(await shared({ "a:1": undefined, "b:1": "" }, ["a:1", "b:1"])).toMatchObject({
      vector: undefined,
      anomalies: [],
    });
    expect(await shared({}, [])).toEqual({ vector: undefined, anomalies: [], reads: 0 });
    expect(await shared({ "a:1": undefined }, ["a:1", "b:1"])).toMatchObject({ vector: undefined });
  });

  test("neither walks through what is excluded nor returns it", async () => {
    const links = { "a:1": undefined, "a:2": "a:1", "a:2;b:1": "a:2", "a:3": "a:2" };
    expect(await shared(links, ["a:2;b:1", "a:3"], ["a:2"])).toMatchObject({ vector: undefined, anomalies: [] });
    expect(await shared(links, ["a:2;b:1", "a:3"], ["a:1"])).toMatchObject({ vector: "a:2" });
    expect(await shared({ "a:2": "a:1", "a:1;b:1": "a:1" }, ["a:2", "a:1;b:1"], ["a:1"])).toMatchObject({
      anomalies: [],
    });
  });

  test("ends at a missing link, and says so once", async () => {
    const links = { "a:3": "a:2", "a:3;b:1": "a:3", "a:4": "a:3", "c:1": "" };
    expect(await shared(links, ["a:3;b:1", "a:4", "c:1"])).toMatchObject({
      vector: undefined,
      anomalies: [{ kind: "missing-link", vector: "a:3", ancestor: "a:2" }],
    });
  });

  test("ends in circles, of one link and of several, and names the least of each", async () => {
    expect(await shared({ "a:1": "a:1", "b:1": undefined }, ["a:1", "b:1"])).toMatchObject({
      vector: undefined,
      anomalies: [
        { kind: "not-after-ancestor", vector: "a:1", ancestor: "a:1" },
        { kind: "cycle", vector: "a:1", ancestor: "a:1" },
      ],
    });
    const circle = { "a:4": "a:3", "a:3": "a:2", "a:2": "a:1", "a:1": "a:3", "b:1": undefined };
    const { vector, anomalies } = await shared(circle, ["a:4", "b:1"]);
    expect(vector).toBeUndefined();
    expect(anomalies.filter(({ kind }) => kind === "cycle")).toEqual([
      { kind: "cycle", vector: "a:1", ancestor: "a:3" },
    ]);
  });

  test("finds what is shared within a circle, whatever the order of the siblings", async () => {
    const circle = { "c:1": "a:1", "c:2": "a:3", "a:3": "a:2", "a:2": "a:1", "a:1": "a:3" };
    const one = await shared(circle, ["c:1", "c:2"]);
    const other = await shared(circle, ["c:2", "c:1"]);
    expect(one.vector).toBe("a:3");
    expect(other.vector).toBe(one.vector);
  });

  test("walks 10 000 links in a few reads, and no farther than it must", async () => {
    const deep = chainOf(10_000);
    const links = { ...deep, "a:1;b:1": "a:1", "a:9990;c:1": "a:9990", "z:1": undefined };
    expect(await shared(links, ["a:10000", "a:1;b:1"])).toMatchObject({ vector: "a:1", anomalies: [] });
    const far = await shared(links, ["a:10000", "z:1"]);
    expect(far.vector).toBeUndefined();
    expect(far.reads).toBeLessThan(20);
    expect((await shared(links, ["a:10000", "a:9990;c:1"])).reads).toBe(2);
  });

  test("agrees with a look at everything", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 30 }),
        fc.nat(),
        fc.nat(),
        async (parents, x, y) => {
          // Snapshot i has a parent below i, or none: every forest is one of these.
          const links: Record<string, string | undefined> = {};
          for (const [index, parent] of parents.entries()) {
            links[nameOf(index)] = parent % (index + 1) === index ? undefined : nameOf(parent % (index + 1));
          }
          const from = [nameOf(x % parents.length), nameOf(y % parents.length)];
          const [first = [], second = []] = from.map((vector) => everyAncestor(links, vector));
          expect(await shared(links, from)).toMatchObject({ vector: first.find((vector) => second.includes(vector)) });
        },
      ),
    );
  });
});

test("a chain goes on over full pages, and ends with one", async () => {
  for (const length of [1, 31, 32, 33, 160, 161]) {
    const { walk, anomalies } = walkOver(chainOf(length));
    const vectors: string[] = [];
    for await (const { vector } of walkChain(`a:${length}`, walk)) vectors.push(vector);
    expect(vectors).toHaveLength(length);
    expect(anomalies).toEqual([]);
  }
});

test("a link that is missing behind a full page is found missing", async () => {
  const { walk, anomalies } = walkOver({ ...chainOf(32), "a:1": "x:1" });
  for await (const link of walkChain("a:32", walk)) expect(link.vector).toMatch(/^a:/);
  expect(anomalies).toContainEqual({ kind: "missing-link", vector: "a:1", ancestor: "x:1" });
});

describe("inspectLinks", () => {
  test("finds nothing in a healthy history", async () => {
    expect(await inspectLinks(stream({ ...chainOf(2_000), "b:1": "" }), 10)).toEqual({
      snapshots: 2_001,
      anomalies: [],
      more: false,
    });
  });

  test("lists each anomaly once", async () => {
    const links = { "a:9": "a:8", "b:1": "a:9", "c:1": "d:1", "d:1": "c:2", "c:2": "c:1", "e:1": "d:1", "f:1": "f:1" };
    const { anomalies } = await inspectLinks(stream(links), 100);
    const of = (kind: LinkAnomaly["kind"]): readonly string[] =>
      anomalies.filter((anomaly) => anomaly.kind === kind).map(({ vector }) => vector);
    expect(of("missing-link")).toEqual(["a:9"]);
    expect(of("cycle")).toEqual(["c:1", "f:1"]);
    expect(of("not-after-ancestor")).toEqual(["b:1", "c:1", "d:1", "e:1", "f:1"]);
  });

  test("lists no more than it is asked for", async () => {
    const links = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`a:${index + 1}`, "z:1"]));
    const { anomalies, more } = await inspectLinks(stream(links), 5);
    expect(anomalies).toHaveLength(5);
    expect(more).toBe(true);
  });
});

async function shared(
  links: Links,
  from: readonly string[],
  excluded: readonly string[] = [],
): Promise<{ vector: string | undefined; anomalies: readonly LinkAnomaly[]; reads: number }> {
  const { walk, anomalies, reads } = walkOver(links, excluded);
  const vector = await findSharedVector(from, walk);
  const once = new Map(anomalies.map((anomaly) => [JSON.stringify(anomaly), anomaly]));
  return { vector, anomalies: [...once.values()], reads: reads() };
}

function walkOver(
  links: Links,
  excluded: readonly string[] = [],
): { walk: Walk; anomalies: readonly LinkAnomaly[]; reads: () => number } {
  const anomalies: LinkAnomaly[] = [];
  let reads = 0;
  const read = async (vector: string, limit: number): Promise<readonly SnapshotLink[]> => {
    reads += 1;
    const page: SnapshotLink[] = [];
    for (let next: string | undefined = vector; next !== undefined && next in links && page.length < limit;) {
      const link: SnapshotLink = { vector: next, ancestor: links[next] };
      page.push(link);
      next = link.ancestor;
    }
    return page;
  };
  const walk: Walk = { read, excluded: new Set(excluded), report: (anomaly) => anomalies.push(anomaly) };
  return { walk, anomalies, reads: () => reads };
}

/** a:1 … a:length, each made from the one before. */
function chainOf(length: number): Links {
  return Object.fromEntries(
    Array.from({ length }, (_, index) => [`a:${index + 1}`, index === 0 ? undefined : `a:${index}`]),
  );
}

function nameOf(index: number): string {
  return `a:${index + 1}`;
}

function everyAncestor(links: Links, from: string): readonly string[] {
  const ancestor = links[from];
  return ancestor === undefined ? [from] : [from, ...everyAncestor(links, ancestor)];
}

async function* stream(links: Links): AsyncGenerator<SnapshotLink> {
  for (const [vector, ancestor] of Object.entries(links)) yield { vector, ancestor };
}
