/** The arrows of docs/ARCHITECTURE.md, and what holds for every file. Lint says most of it sooner; this says all of it. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { suite, test } from 'node:test';
import { VERSION } from '../src/version.ts';

const ROOT = join(import.meta.dirname, '..');
const MOST_LINES = 300;

interface Import {
  readonly to: string;
  readonly how: 'type' | 'static' | 'dynamic';
}

/** Sources by path from the root, with their imports: relative ones as paths from the root, packages by name. */
const sources = new Map(
  globSync('src/**/*.ts', { cwd: ROOT }).map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    return [path, { text, imports: importsOf(path, text) }];
  }),
);
const packageJson = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
};

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(
    /^(?:import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?'([^']+)'/gm,
  ))
    found.push({ to: match[2]!, how: match[1] ? 'type' : 'static' });
  for (const match of text.matchAll(/\bimport\(\s*'([^']+)'/g))
    found.push({ to: match[1]!, how: 'dynamic' });
  return found.map(({ to, how }) => ({
    how,
    to: to.startsWith('.') ? normalize(join(dirname(path), to)) : to,
  }));
}

/** What runs the story from URI to result. */
const STORY = ['fetch-model', 'run', 'create-registry', 'index'];
const ENGINE = ['plan', 'transfer', 'verify', 'unpack', 'publish'];

/** The room a source is in: its folder, `story`, or `leaf` for the small files that everything may use. */
function roomOf(path: string): string {
  const [, folder = '', file] = path.split('/');
  if (file !== undefined) return folder;
  return STORY.includes(folder.replace(/\.ts$/, '')) ? 'story' : 'leaf';
}

/** Which rooms each room may look into. Its own is understood. */
const ARROWS: Record<string, readonly string[]> = {
  leaf: [],
  net: ['leaf'],
  http: ['net', 'leaf'],
  fetchers: ['http', 'net', 'leaf'],
  plan: [...ENGINE, 'leaf'],
  transfer: [...ENGINE, 'net', 'leaf'],
  verify: ['leaf'],
  unpack: [...ENGINE, 'leaf'],
  publish: [...ENGINE, 'leaf'],
  stage: ['story', ...ENGINE, 'leaf'],
  story: ['stage', ...ENGINE, 'fetchers', 'http', 'net', 'leaf'],
  sidecar: ['story', ...ENGINE, 'http', 'net', 'leaf'],
  cli: ['sidecar', 'story', ...ENGINE, 'http', 'net', 'leaf'],
  testing: ['story', 'transfer', 'http', 'net', 'leaf'],
};

/** Arrows that point elsewhere, each for a reason. */
const EXCEPTIONS: readonly (readonly [from: RegExp, to: RegExp, why: string])[] = [
  [
    /^src\/http\//,
    /^src\/transfer\/(lane|answer|http-range)\.ts$/,
    'the slow lane keeps the terms of both lanes',
  ],
];

/** Who may use a package: it is loaded where it is needed, and known nowhere else. */
const PACKAGES: Record<string, RegExp> = {
  got: /^src\/http\//,
  commander: /^src\/cli\//,
  tar: /^src\/unpack\//,
  unzipper: /^src\/unpack\//,
  'xz-decompress': /^src\/unpack\//,
  'unbzip2-stream': /^src\/unpack\//,
  picomatch: /^src\/plan\//,
  '@aws-sdk/': /^src\/fetchers\/s3/,
  '@smithy/': /^src\/fetchers\/s3/,
  '@google-cloud/': /^src\/fetchers\/gcs/,
  'google-auth-library': /^src\/fetchers\/gcs/,
};

/** Milliseconds each to load, so they need not wait. */
const SMALL = ['commander', 'picomatch'];

suite('the architecture', () => {
  test('arrows point down only', () => {
    const wrong: string[] = [];
    for (const [path, { imports }] of sources)
      for (const { to } of imports.filter((one) => one.to.startsWith('src/'))) {
        const [from, into] = [roomOf(path), roomOf(to)];
        const allowed = from === into || ARROWS[from]?.includes(into);
        const excepted = EXCEPTIONS.some(([a, b]) => a.test(path) && b.test(to));
        if (!allowed && !excepted) wrong.push(`${path} -> ${to}`);
      }
    assert.deepEqual(wrong, []);
  });

  test('only the list of schemes is imported from fetchers/', () => {
    for (const [path, { imports }] of sources)
      if (roomOf(path) === 'story')
        for (const { to } of imports)
          if (to.startsWith('src/fetchers/')) assert.equal(to, 'src/fetchers/builtins.ts', path);
  });

  test('every relative import names a file that is there', () => {
    for (const [path, { imports }] of sources)
      for (const { to } of imports.filter((one) => one.to.startsWith('src/')))
        assert.ok(
          sources.has(to) || sources.has(to.replace(/\.d\.ts$/, '.ts')),
          `${path} -> ${to}`,
        );
  });

  test('packages are dependencies, and stay where they belong', () => {
    const wrong: string[] = [];
    for (const [path, { imports }] of sources)
      for (const { to, how } of imports) {
        if (to.startsWith('src/') || to.startsWith('node:')) continue;
        const owner = Object.entries(PACKAGES).find(([name]) =>
          name.endsWith('/') ? to.startsWith(name) : to === name || to.startsWith(`${name}/`),
        );
        const name = /^(@[^/]+\/)?[^/]+/.exec(to)![0];
        if (!owner?.[1].test(path)) wrong.push(`${path} -> ${to}`);
        if (how !== 'type' && !(name in packageJson.dependencies))
          wrong.push(`${path} -> ${to}: no dependency`);
      }
    assert.deepEqual(wrong, []);
  });

  test('to import the library or start the command loads no client, SDK or archive reader', () => {
    for (const start of [
      'src/index.ts',
      'src/cli/main.ts',
      'src/testing/index.ts',
      'src/fetchers/file.ts',
    ]) {
      const loaded = staticClosure(start);
      for (const name of Object.keys(PACKAGES).filter((one) => !SMALL.includes(one)))
        assert.ok(![...loaded].some((to) => to.startsWith(name)), `${start} loads ${name}`);
    }
  });

  test(`no file is longer than ${String(MOST_LINES)} lines`, () => {
    const long = [...sources]
      .map(([path, { text }]) => `${path}: ${String(text.trimEnd().split('\n').length)}`)
      .filter((line) => Number(line.split(': ')[1]) > MOST_LINES);
    assert.deepEqual(long, []);
  });

  test('every file says in its first line what it is for', () => {
    const silent = [...sources]
      .filter(([, { text }]) => !/^(#!.*\n)?\/\*\*/.test(text))
      .map(([path]) => path);
    assert.deepEqual(silent, []);
  });

  test('only the command speaks to the process', () => {
    const spoken: string[] = [];
    for (const [path, { text }] of sources) {
      if (path.startsWith('src/cli/')) continue;
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      for (const word of [/\bconsole\.\w/, /\bprocess\.exit\b/, /\bprocess\.env\b/])
        if (word.test(code)) spoken.push(`${path}: ${word.source}`);
    }
    assert.deepEqual(spoken, []);
  });

  test('links are resolved by the system, not lexically', () => {
    for (const [path, { text }] of sources) assert.doesNotMatch(text, /\brealpathSync\(/, path);
  });

  test('the version is that of package.json', () => {
    assert.equal(VERSION, packageJson.version);
  });
});

/** All that `start` loads at once: packages and files, not what waits behind `import()`. */
function staticClosure(start: string): Set<string> {
  const seen = new Set([start]);
  for (const path of seen)
    for (const { to, how } of sources.get(path)?.imports ?? []) if (how === 'static') seen.add(to);
  return seen;
}
