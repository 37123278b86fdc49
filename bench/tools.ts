/** The programs that a run may need: what `.tools/` has, what the machine has. A missing one is named, never replaced. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installTools } from '../test/real/tools.ts';

/** Everything a contestant or an origin may need. */
export type Need =
  | 'minio'
  | 'rclone'
  | 's5cmd'
  | 'python'
  | 'nginx'
  | 'openssl'
  | 'curl'
  | 'aria2c'
  | 'tar'
  | 'gzip'
  | 'pigz'
  | 'zstd'
  | 'unzip'
  | 'cp'
  | 'rsync';

const FROM_TOOLS: readonly Need[] = ['minio', 'rclone', 's5cmd', 'python'];
const FROM_MACHINE: readonly Need[] = [
  ...(['nginx', 'openssl', 'curl', 'aria2c', 'tar', 'gzip'] as const),
  ...(['pigz', 'zstd', 'unzip', 'cp', 'rsync'] as const),
];

/** Absolute paths of what is there, and the reason for each that is not. */
export interface Tools {
  readonly paths: ReadonlyMap<Need, string>;
  readonly missing: ReadonlyMap<Need, string>;
}

/** Finds everything; installs into `.tools/` what comes from there (minutes the first time). */
export async function findTools(say: (line: string) => void): Promise<Tools> {
  const paths = new Map<Need, string>();
  const missing = new Map<Need, string>();
  const installed = await installTools(say);
  for (const name of FROM_TOOLS) {
    const tool = installed.get(name as 'minio');
    if (tool && 'path' in tool) paths.set(name, tool.path);
    else missing.set(name, tool?.missing ?? 'not installed');
  }
  for (const name of FROM_MACHINE) {
    const path = onPath(name);
    if (path) paths.set(name, path);
    else missing.set(name, `${name} is not on PATH (bench/README.md says which packages have it)`);
  }
  return { paths, missing };
}

/** The repository. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

function onPath(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/bin', '/bin'];
  return folders.map((folder) => join(folder, name)).find(executable);
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
