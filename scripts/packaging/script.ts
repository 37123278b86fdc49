/**
 * Many ES modules as one classic script. V8's code cache (`load.ts`) is for scripts; and what a run needs is read and compiled at
 * once, where Node's loader of ES modules spent 100 ms over 50 files. Each module stays a function of its own, so that what a run
 * does not need costs it nothing.
 */
import { basename } from 'node:path';
import { transform, type OutputFile } from 'esbuild';

/** `files` are what esbuild wrote as modules that import each other as `./name.js`; the script answers what `entry` exports. */
export async function script(files: readonly OutputFile[], entry: string): Promise<string> {
  const names = files.map(({ path }) => `./${basename(path)}`);
  const modules = await Promise.all(files.map(({ text }) => asFunction(text, names)));
  const table = modules.map((code, i) => `${JSON.stringify(names[i])}:${code}`);
  return `${HEAD}({\n${table.join(',\n')}\n},${JSON.stringify(`./${entry}`)})`;
}

/** `import_meta_url` is what `bundle.ts` puts for `import.meta.url`. */
const HEAD = `(function(table,entry){'use strict';return function(outer,filename){
const modules=new Map();
const url=outer('node:url').pathToFileURL(filename).href;
function require(id){
let module=modules.get(id);
if(module)return module.exports;
const code=table[id];
if(!code)return process.getBuiltinModule(id)??outer(id);
modules.set(id,module={exports:{}});
code(require,module,module.exports,(id)=>Promise.resolve(id).then(require),url,filename);
return module.exports;
}
return require(entry);
}})`;

async function asFunction(text: string, names: readonly string[]): Promise<string> {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    lineLimit: 160,
  });
  // Of the modules beside it. Others are the user's, which Node imports.
  const body = code.replace(/\bimport\("(\.\/[^"]+)"\)/g, (whole, name: string) => {
    if (!names.includes(name)) throw new Error(`${whole}: there is no such module`);
    return `importHere(${JSON.stringify(name)})`;
  });
  return `function(require,module,exports,importHere,import_meta_url,__filename){${body}}`;
}
