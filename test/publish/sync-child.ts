/**
 * Fetches `argv[2]` into `argv[3]` with the options of `argv[4]` (JSON), and prints what was synced on the way: a JSON array of
 * paths, each the name the file had at that time.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { FetchOptions } from '../../src/options.ts';

const [, , source = '', dest = '', options = '{}'] = process.argv;
const synced: string[] = [];
const note = (fd: number): void => {
  synced.push(fs.readlinkSync(`/proc/self/fd/${String(fd)}`));
};
const { fsync, fsyncSync, fdatasync, fdatasyncSync } = fs;
fs.fsyncSync = (fd) => (note(fd), fsyncSync(fd));
fs.fdatasyncSync = (fd) => (note(fd), fdatasyncSync(fd));
fs.fsync = ((fd, done) => {
  note(fd);
  fsync(fd, done);
}) as typeof fs.fsync;
fs.fdatasync = ((fd, done) => {
  note(fd);
  fdatasync(fd, done);
}) as typeof fs.fdatasync;
syncBuiltinESMExports();

const { fetchModel } = await import('../../src/index.ts');
await fetchModel(source, dest, JSON.parse(options) as FetchOptions);
process.stdout.write(JSON.stringify(synced));
