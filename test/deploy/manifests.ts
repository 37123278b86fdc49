/** The files of `deploy/`, by what they are for, and the facts of the repository that they must agree with. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

/** The image that every manifest names. */
export const IMAGE = 'example.com/model-fetch:0.1';

export interface Manifest {
  /** From the repository's root: `deploy/pods/pvc.yaml`. */
  readonly file: string;
  readonly text: string;
  /**
   * `object`: for the API server. `patch`: a merge patch. `values`: of a Helm chart. `kustomize`: a kustomization, or what
   * it reads besides objects.
   */
  readonly kind: 'object' | 'patch' | 'values' | 'kustomize';
}

export const MANIFESTS: readonly Manifest[] = globSync('deploy/**/*', {
  cwd: ROOT,
  withFileTypes: true,
})
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
  .sort()
  .map((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    return { file, text, kind: kindOf(file, text) };
  });

function kindOf(file: string, text: string): Manifest['kind'] {
  if (file.endsWith('.patch.yaml')) return 'patch';
  if (file.endsWith('/values.yaml')) return 'values';
  if (/^kind: Kustomization$/m.test(text)) return 'kustomize';
  // Whoever adds a file that is neither an object nor named in a kustomization is told so by the API server.
  return /^kind: /m.test(text) ? 'object' : 'kustomize';
}

/** The manifest of that name. */
export function manifest(file: string): Manifest {
  const found = MANIFESTS.find((one) => one.file === `deploy/${file}`);
  if (!found) throw new Error(`there is no deploy/${file}`);
  return found;
}

/** User, group and entrypoint of the image. */
export function imageFacts(): { uid: number; gid: number; entrypoint: readonly string[] } {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const [, uid, gid] = /^USER (\d+):(\d+)$/m.exec(text) ?? [];
  const [, entrypoint] = /^ENTRYPOINT (\[.+\])$/m.exec(text) ?? [];
  if (uid === undefined || gid === undefined || entrypoint === undefined)
    throw new Error('the Dockerfile has no numeric USER, or no ENTRYPOINT in exec form');
  return { uid: Number(uid), gid: Number(gid), entrypoint: JSON.parse(entrypoint) as string[] };
}
