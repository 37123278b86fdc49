/** Finds the author's class: `Model` is the class of that name in `Model.ts`, `.js`, `.mjs` or `.cjs`. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export type ModelClass = new (parameters: Record<string, unknown>) => object;

const EXTENSIONS = ['ts', 'js', 'mjs', 'cjs'];

/** Loads `File` or `File.Class` from `folder`. Throws an `Error` that says what was looked for. */
export async function loadClass(interfaceName: string, folder: string): Promise<ModelClass> {
  const [file = '', ...rest] = interfaceName.split('.');
  const name = rest.join('.') || file;
  const path = EXTENSIONS.map((extension) => resolve(folder, `${file}.${extension}`)).find((one) =>
    existsSync(one),
  );
  if (!path)
    throw new Error(
      `there is no ${file}.ts, .js, .mjs or .cjs in ${folder}: the model's class is looked for there`,
    );
  const exported = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const found = pick(exported, name);
  if (found) return found;
  throw new Error(`${path} exports no class ${name}, neither by that name nor as its default`);
}

/** A CommonJS module's exports are its default export. */
function pick(exported: Record<string, unknown>, name: string): ModelClass | undefined {
  const standard = exported['default'];
  const inner = typeof standard === 'object' && standard !== null ? standard : {};
  const candidates = [exported[name], standard, (inner as Record<string, unknown>)[name]];
  candidates.push((inner as Record<string, unknown>)['default']);
  return candidates.find((one): one is ModelClass => typeof one === 'function');
}
