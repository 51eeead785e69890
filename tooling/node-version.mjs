/** The first 20.x in which `require` of an ES module is safe. */
const FLOOR = { major: 20, minor: 19 };

/**
 * What to tell someone whose Node cannot run this repository, or nothing if theirs can.
 *
 * @param {string} version as in `process.versions.node`
 * @returns {string | undefined}
 */
export function unsupportedNode(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > FLOOR.major || (major === FLOOR.major && minor >= FLOOR.minor)) return undefined;
  return [
    `Tidemark needs Node ${FLOOR.major}.${FLOOR.minor} or newer; this is Node ${version}.`,
    "Install a current one from https://nodejs.org, or with a version manager: `nvm install`, `fnm use`, `volta install node`.",
  ].join("\n");
}
