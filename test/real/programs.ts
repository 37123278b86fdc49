/** The two programs that are compared, run as a kubelet would run them: a clean environment and two arguments. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { start, type Ran } from '../image/process.ts';

/** Paths relative to a folder, and what is there. */
export type Tree = ReadonlyMap<string, Buffer>;

export interface Outcome extends Ran {
  readonly tree: Tree;
  /** Files and folders of the target that are symbolic links. */
  readonly links: readonly string[];
}

const TIMEOUT_MS = 120_000;
const ORACLE = fileURLToPath(new URL('kserve.py', import.meta.url));

/** Runs the built command `main` (`dist/cli/main.js`, or the bundle's). */
export async function modelFetch(
  main: string,
  args: readonly string[],
  dest: string,
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const ran = await start(process.execPath, [main, '--output', 'json', ...args], {
    env: { PATH: '/usr/bin:/bin', ...env },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).done;
  return { ...ran, ...readTarget(dest) };
}

/** Runs KServe's `Storage.download`. */
export async function kserve(
  python: string,
  uri: string,
  dest: string,
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  mkdirSync(dest, { recursive: true });
  const ran = await start(python, [ORACLE, uri, dest], {
    env: { PATH: '/usr/bin:/bin', HOME: dest, ...env },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).done;
  return { ...ran, ...readTarget(dest) };
}

/** Every file below `folder`, through links, but our own records and folders that hold none. */
function readTarget(folder: string): Pick<Outcome, 'tree' | 'links'> {
  const tree = new Map<string, Buffer>();
  const links: string[] = [];
  const visit = (path: string): void => {
    for (const entry of readdirSync(join(folder, path))) {
      const inner = path === '' ? entry : `${path}/${entry}`;
      if (inner === '.model-fetch') continue;
      const place = join(folder, inner);
      if (lstatSync(place).isSymbolicLink()) links.push(inner);
      if (statSync(place).isDirectory()) visit(inner);
      else tree.set(inner, readFileSync(place));
    }
  };
  if (folder !== '' && existsSync(folder)) visit('');
  return { tree, links };
}
