/** The command in a few flat files, for the image. Code of a scheme stays in files of its own, loaded when first needed. */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';

/** CommonJS packages inside an ES module still ask for these three. */
const BANNER = [
  "import { createRequire as makeRequire } from 'node:module';",
  'const require = makeRequire(import.meta.url);',
  'const __filename = import.meta.filename, __dirname = import.meta.dirname;',
].join('');

/** A package whose code ended up in the bundle. `folder` is relative to the project. */
export interface BundledPackage {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
}

/** Writes the bundle of the project at `root` into `folder`; answers the packages that are in it, sorted by name. */
export async function bundle(root: string, folder: string): Promise<BundledPackage[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: entryPoints(root),
    outdir: folder,
    entryNames: '[name]',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    // Names of classes and functions appear in messages and stack traces that users send us.
    keepNames: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // The ES form of a package where it has one: `await import()` of a CommonJS form would have no names but `default`.
    mainFields: ['module', 'main'],
    legalComments: 'none',
    // Node prints the whole source line of a crash: kept to a length a log can hold.
    lineLimit: 160,
    banner: { js: BANNER },
    plugins: [lazyHttp],
    metafile: true,
    logLevel: 'warning',
  });
  return packagesOf(root, metafile);
}

/**
 * `node:http` without its facade as an ES module, which reads each of its names: some make Node load its `fetch`, 15 ms and
 * 10 MiB in every process.
 */
const lazyHttp: Plugin = {
  name: 'lazy-http',
  setup: (builder) => {
    builder.onResolve({ filter: /^(node:)?https?$/ }, ({ path }) => ({
      path: path.replace(/^(node:)?/, 'node:'),
      namespace: 'lazy-http',
    }));
    builder.onLoad({ filter: /.*/, namespace: 'lazy-http' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/** The command, and every file that is started as a thread. They land side by side, so their names must differ. */
function entryPoints(root: string): string[] {
  const workers = globSync(['src/**/worker.ts', 'src/**/*-worker.ts'], { cwd: root }).sort();
  const entries = ['src/cli/main.ts', ...workers];
  const names = new Set(entries.map((entry) => basename(entry)));
  if (names.size !== entries.length)
    throw new Error(`entry points need names of their own: ${entries.join(', ')}`);
  return entries;
}

function packagesOf(root: string, metafile: Metafile): BundledPackage[] {
  const used = new Set(
    Object.values(metafile.outputs).flatMap((output) =>
      Object.entries(output.inputs)
        .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
        .map(([path]) => path),
    ),
  );
  const folders = new Set<string>();
  for (const path of used) {
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
    if (folder) folders.add(folder);
  }
  return [...folders]
    .map((folder) => {
      const { name, version } = JSON.parse(
        readFileSync(join(root, folder, 'package.json'), 'utf8'),
      ) as BundledPackage;
      return { folder, name, version };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
