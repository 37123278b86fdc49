/** The software bill of materials of the image's program: npm's own, cut down to what the bundle really contains. */
import { execFileSync } from 'node:child_process';
import type { BundledPackage } from './bundle.ts';

/** The parts of CycloneDX 1.5 that are read or changed here. */
interface Bom {
  serialNumber?: string;
  metadata: { timestamp?: string; component: Component };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
}
interface Component {
  'bom-ref': string;
  name: string;
  version: string;
  type?: string;
  scope?: string;
  properties?: unknown;
  externalReferences?: unknown;
}

/** CycloneDX JSON. The same sources give the same text: no time, no random serial number, no path, no download address. */
export function softwareBillOfMaterials(root: string, packages: readonly BundledPackage[]): string {
  const bom = askNpm(root);
  const kept = new Set(packages.map(({ name, version }) => `${name}@${version}`));
  delete bom.serialNumber;
  delete bom.metadata.timestamp;
  // npm names the project after its folder.
  Object.assign(bom.metadata.component, { name: 'model-fetch', type: 'application' });
  bom.components = bom.components.filter(({ name, version }) => kept.has(`${name}@${version}`));
  for (const component of bom.components) {
    component.scope = 'required';
    delete component.properties;
    delete component.externalReferences;
    kept.delete(`${component.name}@${component.version}`);
  }
  if (kept.size)
    throw new Error(`bundled, but unknown to package-lock.json: ${[...kept].join(', ')}`);
  const refs = new Set([
    bom.metadata.component['bom-ref'],
    ...bom.components.map((one) => one['bom-ref']),
  ]);
  bom.dependencies = bom.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => refs.has(one)) }));
  // What runs it: the same Node in the build stage and in the image.
  bom.components.push(runtime());
  return `${JSON.stringify(bom, null, 1)}\n`;
}

function runtime(): Component & Record<string, unknown> {
  const version = process.versions.node;
  return {
    'bom-ref': `node@${version}`,
    type: 'platform',
    name: 'node',
    version,
    purl: `pkg:generic/node@${version}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
  };
}

function askNpm(root: string): Bom {
  const text = execFileSync(
    'npm',
    // Not `--omit=dev`: it also leaves out what production and development share.
    ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only'],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return JSON.parse(text) as Bom;
}
