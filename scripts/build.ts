/**
 * Builds what is published. `node scripts/build.ts [library] [image]`, default both:
 * - `dist/`: the library and the command as the package has them, unbundled, with types;
 * - `build/image/`: the command in a few bundled files, the licences of what they contain, and an SBOM.
 * Each is built beside its place and swapped in, so that a running command never sees half a build.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './packaging/bundle.ts';
import { thirdPartyLicenses } from './packaging/licenses.ts';
import { softwareBillOfMaterials } from './packaging/sbom.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PARTS = { library: buildLibrary, image: buildImage };

const asked = process.argv.slice(2);
for (const part of asked)
  if (!(part in PARTS))
    throw new Error(`"${part}" cannot be built; known are ${Object.keys(PARTS).join(', ')}`);
for (const [part, build] of Object.entries(PARTS))
  if (!asked.length || asked.includes(part)) await build();

async function buildLibrary(): Promise<void> {
  await swapIn(join(ROOT, 'dist'), (folder) => {
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', folder], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    chmodSync(join(folder, 'cli/main.js'), 0o755);
  });
}

async function buildImage(): Promise<void> {
  await swapIn(join(ROOT, 'build/image'), async (folder) => {
    const packages = await bundle(ROOT, folder);
    writeFileSync(join(folder, 'THIRD_PARTY_LICENSES'), thirdPartyLicenses(ROOT, packages));
    writeFileSync(join(folder, 'sbom.cdx.json'), softwareBillOfMaterials(ROOT, packages));
    // Without this file Node would look for one further up.
    writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
    // Again in the Dockerfile, on the platform that the image is for.
    execFileSync(process.execPath, [join(ROOT, 'scripts/packaging/warm-up.ts'), folder]);
  });
}

/** Runs `build` on a fresh folder beside `place`, then puts it there. */
async function swapIn(
  place: string,
  build: (folder: string) => void | Promise<void>,
): Promise<void> {
  const fresh = `${place}.new-${String(process.pid)}`;
  const old = `${place}.old-${String(process.pid)}`;
  mkdirSync(dirname(place), { recursive: true });
  try {
    mkdirSync(fresh);
    await build(fresh);
    mkdirSync(place, { recursive: true });
    renameSync(place, old);
    renameSync(fresh, place);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}
