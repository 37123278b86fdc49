/**
 * Fetches `argv[2]` into `argv[3]` and dies, by SIGKILL to itself, just before the n-th change (`argv[4]`) that it makes to
 * the file system once publishing has begun; with 0 it lives and prints how many there were. `argv[5]`: the manifest's
 * path, or `none`.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [, , source = '', dest = '', dieAt = '0', manifest] = process.argv;
const CHANGES = [
  'renameSync',
  'unlinkSync',
  'rmdirSync',
  'rmSync',
  'mkdirSync',
  'copyFileSync',
  'linkSync',
  'writeSync',
] as const;

let publishing = false;
let changes = 0;
const { openSync } = fs;
fs.openSync = (path, ...rest) => {
  if (typeof path === 'string' && path.endsWith('intent.json.tmp')) publishing = true;
  return openSync(path, ...rest);
};
for (const name of CHANGES) {
  const real = fs[name] as (...args: unknown[]) => unknown;
  (fs as unknown as Record<string, unknown>)[name] = (...args: unknown[]): unknown => {
    if (publishing && ++changes === Number(dieAt)) process.kill(process.pid, 'SIGKILL');
    return real(...args);
  };
}
syncBuiltinESMExports();

const { fetchModel } = await import('../../src/index.ts');
await fetchModel(source, dest, {
  ...(manifest !== undefined && { manifest: manifest === 'none' ? false : manifest }),
});
process.stdout.write(String(changes));
