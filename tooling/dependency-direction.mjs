/** What a package of Tidemark may use of the others: by its users' side of the manifest, and while it is developed. */
const rules = {
  core: { uses: [], develops: [] },
  conformance: { uses: ["core"], develops: [] },
  adapter: { uses: ["core", "sql-kit"], develops: ["conformance", "test-servers"] },
  "sql-kit": { uses: ["core"], develops: [] },
  worker: {
    uses: ["core"],
    develops: ["adapter-memory", "adapter-mysql", "adapter-postgres", "adapter-sqlite", "conformance", "test-servers"],
  },
  consequent: {
    uses: ["core"],
    develops: ["adapter-memory", "adapter-mysql", "adapter-postgres", "adapter-sqlite", "test-servers"],
  },
};

/**
 * @typedef {object} Manifest the parts of a package.json that matter here
 * @property {string} name
 * @property {Readonly<Record<string, string>>} [dependencies]
 * @property {Readonly<Record<string, string>>} [peerDependencies]
 * @property {Readonly<Record<string, string>>} [optionalDependencies]
 * @property {Readonly<Record<string, string>>} [devDependencies]
 */

/**
 * @typedef {object} SourceFile
 * @property {string} path from the package's folder, with `/`: `src/index.ts`
 * @property {string} text
 */

/**
 * How a package breaks the direction of dependencies: adapters know core, core knows nobody, nobody knows an adapter.
 *
 * @param {Manifest} manifest
 * @param {readonly SourceFile[]} files
 * @returns {readonly string[]} one sentence each, none where all is well
 */
export function wrongDependencies(manifest, files) {
  const own = shortName(manifest.name);
  const rule = ruleOf(own);
  if (own === undefined || rule === undefined) {
    return [`${manifest.name} has no rule in tooling/dependency-direction.mjs: say there what it may depend on.`];
  }
  const shipped = new Set(rule.uses);
  const any = new Set([...rule.uses, ...rule.develops, own]);
  const { dependencies, peerDependencies, optionalDependencies, devDependencies } = manifest;
  const runtime = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies });

  return [
    ...(own === "core" && runtime.length > 0
      ? [`${manifest.name} has runtime dependencies: ${runtime.join(", ")}.`]
      : []),
    ...siblings(runtime)
      .filter((name) => !shipped.has(name))
      .map((name) => `${manifest.name} must not depend on @tidemark/${name}.`),
    ...siblings(Object.keys(devDependencies ?? {}))
      .filter((name) => !any.has(name))
      .map((name) => `${manifest.name} must not depend on @tidemark/${name}, not even to develop it.`),
    ...files.flatMap(({ path, text }) => {
      const allowed = path.startsWith("src/") ? shipped : any;
      return imports(text).flatMap((specifier) => wrongImport(path, specifier, allowed));
    }),
  ].map((sentence) => sentence.replace(/^(src|test)\//, `${manifest.name} $1/`));
}

/**
 * @param {string} path
 * @param {string} specifier
 * @param {ReadonlySet<string>} allowed
 * @returns {readonly string[]}
 */
function wrongImport(path, specifier, allowed) {
  if (specifier.startsWith(".")) {
    const inside = new URL(specifier, `file:///package/here/${path}`).pathname.startsWith("/package/here/");
    return inside ? [] : [`${path} reaches out of its package: ${specifier}`];
  }
  const name = shortName(specifier.split("/").slice(0, 2).join("/"));
  return name === undefined || allowed.has(name) ? [] : [`${path} must not import ${specifier}`];
}

/**
 * The specifiers of static and dynamic imports, and of re-exports.
 *
 * @param {string} text
 * @returns {readonly string[]}
 */
function imports(text) {
  const statements = /^(?:import|export)\s(?:[^"';]*?\sfrom\s)?\s*["']([^"'\n]+)["']/gm;
  const calls = /\bimport\(\s*["']([^"'\n]+)["']/g;
  return [...text.matchAll(statements), ...text.matchAll(calls)].map((match) => match[1] ?? "");
}

/** @param {readonly string[]} names */
function siblings(names) {
  return names.map(shortName).filter((name) => name !== undefined);
}

/**
 * @param {string} name
 * @returns {string | undefined}
 */
function shortName(name) {
  return name.startsWith("@tidemark/") ? name.slice("@tidemark/".length) : undefined;
}

/**
 * @param {string | undefined} name
 * @returns {{ readonly uses: readonly string[], readonly develops: readonly string[] } | undefined}
 */
function ruleOf(name) {
  return Object.entries(rules).find(([key]) => key === (name?.startsWith("adapter-") ? "adapter" : name))?.[1];
}
