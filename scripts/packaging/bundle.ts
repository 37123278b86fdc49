/** The command in a few flat files, for the image: an entry point that loads little, the program, and a file for each thread. */
import { globSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build, type BuildOptions, type Metafile, type Plugin } from 'esbuild';
import { script } from './script.ts';

/** A package whose code ended up in the bundle. `folder` is relative to the project. */
export interface BundledPackage {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
}

const COMMON = {
  bundle: true,
  minify: true,
  // Names of classes and functions appear in messages and stack traces that users send us.
  keepNames: true,
  platform: 'node',
  target: 'node24',
  // The ES form of a package where it has one: `await import()` of a CommonJS form would have no names but `default`.
  mainFields: ['module', 'main'],
  legalComments: 'none',
  // Node prints the whole source line of a crash: kept to a length a log can hold.
  lineLimit: 160,
  // Scripts have no `import.meta`: the sources find their threads by it, and know their plugins.
  define: { 'import.meta.url': 'import_meta_url', 'import.meta.dirname': '__dirname' },
  metafile: true,
  logLevel: 'warning',
} satisfies BuildOptions;

const URL_OF_FILE =
  "'use strict';const import_meta_url=require('node:url').pathToFileURL(__filename).href;";

/** Writes the bundle of the project at `root` into `folder`; answers the packages that are in it, sorted by name. */
export async function bundle(root: string, folder: string): Promise<BundledPackage[]> {
  const common = { ...COMMON, absWorkingDir: root, outdir: folder, entryNames: '[name]' };
  const program = await build({
    ...common,
    entryPoints: ['src/cli/run.ts'],
    format: 'esm',
    splitting: true,
    write: false,
    plugins: [withoutUnused, plainKeys, importedBuiltins],
  });
  await writeFile(join(folder, 'program.js'), await script(program.outputFiles, 'run.js'));
  const main = await build({
    ...common,
    entryPoints: ['src/cli/main.ts'],
    format: 'cjs',
    plugins: [loadsProgram(root)],
  });
  const threads = await build({
    ...common,
    entryPoints: threadFiles(root),
    format: 'cjs',
    banner: { js: URL_OF_FILE },
  });
  return packagesOf(
    root,
    [program, main, threads].map(({ metafile }) => metafile),
  );
}

/** The entry point gets the program by `load.ts`. */
function loadsProgram(root: string): Plugin {
  return {
    name: 'loads-program',
    setup: (builder) => {
      builder.onResolve({ filter: /^\.\/run\.ts$/ }, () => ({
        path: join(root, 'scripts/packaging/program.ts'),
      }));
    },
  };
}

/** Node's own modules where they are asked for by `import()`: by `require` too, for what `load.ts` says about facades. */
const importedBuiltins: Plugin = {
  name: 'imported-builtins',
  setup: (builder) => {
    builder.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, namespace: 'builtin' } : undefined,
    );
    builder.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * What packages import for functions that nothing here calls. `unzipper` reads archives from S3: its `require` would keep the SDK
 * whole, of whose commands we need four. `commander` starts other programs: that loads Node's sockets in every run.
 */
const UNUSED: Readonly<Record<string, RegExp>> = {
  '@aws-sdk/client-s3': /\/node_modules\/unzipper\//,
  'node:child_process': /\/node_modules\/commander\//,
};

const withoutUnused: Plugin = {
  name: 'without-unused',
  setup: (builder) => {
    builder.onResolve({ filter: /./ }, ({ path, importer }) =>
      UNUSED[path]?.test(importer) ? { path, namespace: 'unused' } : undefined,
    );
    builder.onLoad({ filter: /./, namespace: 'unused' }, () => ({
      contents: 'module.exports = {};',
    }));
  },
};

/**
 * The SDK describes each command of S3 by literals whose keys are constants, `{ [_hH]: … }`. For all that a bundler knows such a key
 * may do something, so it keeps them all; with the constants' values in their place it keeps what is used.
 */
const plainKeys: Plugin = {
  name: 'plain-keys',
  setup: (builder) => {
    builder.onLoad({ filter: /\/client-s3\/dist-es\/schemas\/\w+\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const values = new Map(
        [...text.matchAll(/^const (\w+) = (".*");$/gm)].map(([, name, value]) => [name, value]),
      );
      return {
        contents: text.replace(
          /\[(\w+)\]:/g,
          (key, name) => `${values.get(name as string) ?? key}:`,
        ),
      };
    });
  },
};

/** Every file that is started as a thread. They land side by side, so their names must differ. */
function threadFiles(root: string): string[] {
  const workers = globSync(['src/**/worker.ts', 'src/**/*-worker.ts'], { cwd: root }).sort();
  if (new Set(workers.map((file) => basename(file))).size !== workers.length)
    throw new Error(`threads need names of their own: ${workers.join(', ')}`);
  return workers;
}

function packagesOf(root: string, parts: readonly Metafile[]): BundledPackage[] {
  const used = new Set(
    parts
      .flatMap(({ outputs }) => Object.values(outputs))
      .flatMap(({ inputs }) =>
        Object.entries(inputs)
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
