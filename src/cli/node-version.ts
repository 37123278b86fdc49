/** Which Node this needs. Imports nothing and uses nothing new: it must run on the Nodes that it refuses. */

/** zstd in `node:zlib` and `module.registerHooks` came with it. Equals `engines.node` of package.json: a test holds the two together. */
export const OLDEST_NODE = '22.15';

/** Why `version` will not do, or undefined when it will. */
export function nodeProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE.split('.').map(Number);
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return undefined;
  return `model-fetch needs Node ${OLDEST_NODE} or newer, and this is Node ${version}`;
}
