// Fails where a package depends on one that it must not know.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, sep } from "node:path";
import { root } from "./command.mjs";
import { wrongDependencies } from "./dependency-direction.mjs";

const folders = readdirSync(join(root, "packages")).map((name) => join(root, "packages", name));
const found = folders.flatMap((folder) => {
  const manifest = join(folder, "package.json");
  return existsSync(manifest) ? wrongDependencies(JSON.parse(readFileSync(manifest, "utf8")), sources(folder)) : [];
});
for (const sentence of found) console.error(sentence);
if (found.length === 0) console.log(`Dependencies point the right way in ${folders.length} packages.`);
process.exitCode = found.length === 0 ? 0 : 1;

/** @param {string} folder */
function sources(folder) {
  return ["src", "test"]
    .filter((part) => existsSync(join(folder, part)))
    .flatMap((part) =>
      readdirSync(join(folder, part), { recursive: true, encoding: "utf8" }).map((name) => join(part, name)),
    )
    .filter((path) => /\.[cm]?ts$/.test(path))
    .map((path) => ({ path: path.split(sep).join("/"), text: readFileSync(join(folder, path), "utf8") }));
}
