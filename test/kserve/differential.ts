/**
 * KServe's own downloader and ours on the same random sources: objects, archives, patterns, pages, folders. With `--compat
 * kserve` nothing may differ; without it, nothing that `test/real/differences.ts` does not explain. Run as a program it takes
 * a scheme, the number of sources and a seed: `node test/kserve/differential.ts gs 500 x`.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inProcess } from '../cli/host.ts';
import { unexplained } from '../real/compare.ts';
import { startOracle, type Oracle } from './oracle.ts';
import { generator } from './random.ts';
import {
  gsSources,
  httpSources,
  localSources,
  s3Sources,
  type Scheme,
  type Source,
  type Sources,
} from './sources.ts';

export { SKIP } from './oracle.ts';

/** Sources that both were asked for, and those where they differ, in words. */
export interface Compared {
  readonly sources: number;
  /** Where both published something. */
  readonly trees: number;
  readonly differences: readonly string[];
}

/** What one source became. */
interface Outcome {
  readonly status: number;
  readonly stderr: string;
  readonly tree: ReadonlyMap<string, Buffer>;
  readonly links: readonly string[];
}

const OPEN: Readonly<Record<Scheme, () => Promise<Sources>>> = {
  s3: s3Sources,
  gs: () => gsSources(),
  http: httpSources,
  file: () => localSources('file'),
  pvc: () => localSources('pvc'),
};

/** Compares at least `count` random sources. The same `seed` makes the same ones. */
export async function compareSources(
  scheme: Scheme,
  count: number,
  seed: string,
  open: () => Promise<Sources> = OPEN[scheme],
): Promise<Compared> {
  const random = generator(`${scheme} ${seed}`);
  const from = await open();
  const home = await mkdtemp(join(tmpdir(), 'model-fetch-differential-'));
  const oracle = startOracle(from.env);
  const differences: string[] = [];
  let sources = 0;
  let trees = 0;
  try {
    while (sources < count)
      for (const source of await from.make(random)) {
        const folder = join(home, String(sources++));
        const found = await compareOne(scheme, source, { folder, env: from.env, oracle });
        if (found.tree) trees++;
        differences.push(...found.differences);
        await rm(folder, { recursive: true, force: true });
      }
    if ('strays' in from && (from as Awaited<ReturnType<typeof httpSources>>).strays() > 0)
      differences.push('requests without the headers of their host');
  } finally {
    oracle.end();
    await from.close();
    await rm(home, { recursive: true, force: true });
  }
  return { sources, trees, differences };
}

interface Place {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly oracle: Oracle;
}

async function compareOne(
  scheme: Scheme,
  source: Source,
  { folder, env, oracle }: Place,
): Promise<{ tree: boolean; differences: string[] }> {
  const all = { ...env, ...source.env };
  const [theirs, compat, plain] = ['theirs', 'compat', 'plain'].map((name) => join(folder, name));
  const fetch = (uri: string, dest: string, ...flags: string[]) => ours([uri, dest, ...flags], all);
  const ask = async (uri: string) => outcome(theirs!, await oracle.ask(uri, theirs!, source.env));
  let before: ReadonlySet<string> | undefined;
  if (source.before !== undefined) {
    const first = [
      await ask(source.before),
      await fetch(source.before, compat!, '--compat', 'kserve'),
      await fetch(source.before, plain!),
    ];
    // What a failure leaves behind is KServe's own business.
    if (first.some(({ status }) => status !== 0)) return { tree: false, differences: [] };
    before = new Set(first[0]!.tree.keys());
  }
  const kserve = await ask(source.uri);
  const same = await fetch(source.ours ?? source.uri, compat!, '--compat', 'kserve');
  const own = await fetch(source.ours ?? source.uri, plain!);
  const { uri, objects, traits, env: patterns } = source;
  const facts = { scheme, uri, objects, traits, patterns, ...(before && { before }) };
  const differences = [
    ...unexplained(facts, own, kserve).map((words) => `by default: ${words}`),
    ...unexplained({ ...facts, compat: true }, same, kserve).map((words) => `compat: ${words}`),
  ];
  const told = { source: { ...source, objects: [...source.objects] }, KServe: list(kserve) };
  return {
    tree: kserve.status === 0 && same.status === 0,
    differences: differences.map(
      (words) =>
        `${words}\n  ${JSON.stringify({ ...told, compat: list(same), default: list(own) })}`,
    ),
  };
}

const list = ({ status, stderr, tree }: Outcome): string =>
  status === 0 ? [...tree.keys()].join(' ') : stderr.trim().split('\n').at(-1)!.slice(0, 300);

async function ours(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const { status, stderr } = await inProcess(words, { env });
  return { ...outcome(words[1]!, status === 0 ? undefined : stderr), status: status ?? 1 };
}

function outcome(folder: string, error: string | undefined): Outcome {
  const failed = { status: 1, stderr: error ?? '', tree: new Map<string, Buffer>(), links: [] };
  return error === undefined ? { ...failed, status: 0, ...readTree(folder) } : failed;
}

/** Every file below `folder`, through links, but our own records. */
function readTree(folder: string): Pick<Outcome, 'tree' | 'links'> {
  const tree = new Map<string, Buffer>();
  const links: string[] = [];
  const visit = (path: string): void => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const inner = path === '' ? name : `${path}/${name}`;
      if (inner === '.model-fetch') continue;
      const place = join(folder, inner);
      if (lstatSync(place).isSymbolicLink()) links.push(inner);
      if (statSync(place).isDirectory()) visit(inner);
      else tree.set(inner, readFileSync(place));
    }
  };
  if (existsSync(folder)) visit('');
  return { tree, links };
}

if (process.argv[1] === import.meta.filename) {
  const [scheme = 's3', count = '500', seed = 'program'] = process.argv.slice(2);
  const compared = await compareSources(scheme as Scheme, Number(count), seed);
  const { sources, trees, differences } = compared;
  const lines = [
    ...differences,
    `${scheme}: ${sources} sources, ${trees} trees, ${differences.length} differences`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  process.exitCode = differences.length > 0 ? 1 : 0;
}
