/**
 * A process of its own that reads the target again and again while runs are killed. It knows what the two models look like, and
 * stops with a complaint as soon as it sees a torn file, or a current manifest beside anything but one whole model.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { model, type ModelName } from './models.ts';

const [target, stop] = process.argv.slice(2) as [string, string];
const models = { old: model('old'), new: model('new') };
const tally = { looks: 0, whole: 0, without: 0, moved: 0 };

type Seen = ModelName | 'none' | 'mixture';

/** What the visible names amount to. Throws at a torn file. */
export function look(folder: string): Seen {
  const files = visible(folder);
  if (files.length === 0) return 'none';
  const fits = { old: 0, new: 0 };
  let vanished = false;
  for (const path of files) {
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(folder, path));
    } catch {
      vanished = true;
      continue;
    }
    const isOld = models.old.get(path)?.equals(bytes) ?? false;
    const isNew = models.new.get(path)?.equals(bytes) ?? false;
    if (!isOld && !isNew)
      throw new Error(`torn: ${path} has ${String(bytes.length)} bytes of neither model`);
    if (isOld) fits.old++;
    if (isNew) fits.new++;
  }
  if (!vanished && fits.old === files.length && files.length === models.old.size) return 'old';
  if (!vanished && fits.new === files.length && files.length === models.new.size) return 'new';
  return 'mixture';
}

/** The identity of the current manifest, or undefined. */
export function manifestId(folder: string): string | undefined {
  try {
    const fd = openSync(join(folder, '.model-fetch', 'manifest.jsonl'), 'r');
    const { ino, mtimeNs, size } = fstatSync(fd, { bigint: true });
    closeSync(fd);
    return `${String(ino)} ${String(mtimeNs)} ${String(size)}`;
  } catch {
    return undefined;
  }
}

/** Which model the manifest speaks of. */
export function manifestModel(folder: string): ModelName | undefined {
  try {
    const text = readFileSync(join(folder, '.model-fetch', 'manifest.jsonl'), 'utf8');
    return text.includes('"only-new/') ? 'new' : 'old';
  } catch {
    return undefined;
  }
}

function visible(folder: string): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    let names: string[];
    try {
      names = readdirSync(at);
    } catch {
      return;
    }
    for (const name of names) {
      if (at === folder && name === '.model-fetch') continue;
      const path = join(at, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats?.isDirectory()) walk(path);
      else if (stats) found.push(relative(folder, path));
    }
  };
  walk(folder);
  return found;
}

/** One look: only what stood still between two looks at the manifest says anything about both. */
function sample(): void {
  const before = manifestId(target);
  const named = manifestModel(target);
  const seen = look(target);
  const after = manifestId(target);
  tally.looks++;
  if (before !== after) tally.moved++;
  else if (before === undefined) tally.without++;
  else if (seen === named) tally.whole++;
  else throw new Error(`a current manifest of the ${String(named)} model beside: ${seen}`);
}

if (import.meta.main) {
  try {
    while (!existsSync(stop)) sample();
    process.stdout.write(JSON.stringify(tally));
  } catch (error) {
    process.stdout.write(JSON.stringify({ ...tally, violation: (error as Error).message }));
    process.exitCode = 1;
  }
}
