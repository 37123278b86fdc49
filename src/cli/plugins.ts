/** `--plugin`: modules of the user that add schemes. */
import { registerHooks } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ModelFetchError } from '../errors.ts';
import type { Registration } from '../registry.ts';

/** The registrations that `specifier` exports by default: one, or an array. Paths and package names are looked up from `cwd`. */
export async function loadPlugin(specifier: string, cwd: string): Promise<readonly Registration[]> {
  const module = await importFrom(specifier, cwd);
  const exported = module['default'];
  const registrations: unknown[] = Array.isArray(exported) ? exported : [exported];
  if (registrations.length > 0 && registrations.every(isRegistration)) return registrations;
  throw new ModelFetchError(
    'INVALID_OPTION',
    `the plugin ${specifier} does not export a registration`,
    {
      hint: 'Its default export must be { name, schemes, form, load }, or an array of those: see docs/plugins.md.',
    },
  );
}

async function importFrom(specifier: string, cwd: string): Promise<Record<string, unknown>> {
  const isPath = isAbsolute(specifier) || /^\.{1,2}(\/|$)/.test(specifier);
  const wanted = isPath ? pathToFileURL(resolve(cwd, specifier)).href : specifier;
  try {
    return isPath || wanted.startsWith('file:')
      ? ((await import(wanted)) as Record<string, unknown>)
      : await importPackage(wanted, cwd);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // A plugin that is there but lacks a dependency of its own must not be called missing.
    const missing =
      isMissing(error) &&
      (message.includes(`'${specifier}'`) || message.includes(`'${resolve(cwd, specifier)}'`));
    throw new ModelFetchError(
      'INVALID_OPTION',
      missing
        ? `there is no plugin ${specifier}`
        : `the plugin ${specifier} could not be loaded: ${message}`,
      {
        hint: missing
          ? `Looked from ${cwd}. Write ./file.js for a file; install a package next to the command or where you stand. (${message})`
          : 'The module threw while it was imported.',
        cause: error,
      },
    );
  }
}

/** A bare name means what it would mean in a module of `cwd`, and else what it means to us. */
async function importPackage(name: string, cwd: string): Promise<Record<string, unknown>> {
  const parentURL = pathToFileURL(join(cwd, 'model-fetch-plugin.js')).href;
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier !== name || context.parentURL !== import.meta.url)
        return next(specifier, context);
      try {
        return next(specifier, { ...context, parentURL });
      } catch (error) {
        if (isMissing(error)) return next(specifier, context);
        throw error;
      }
    },
  });
  try {
    return (await import(name)) as Record<string, unknown>;
  } finally {
    hooks.deregister();
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return (
    code === 'ERR_MODULE_NOT_FOUND' ||
    code === 'MODULE_NOT_FOUND' ||
    code === 'ERR_UNSUPPORTED_DIR_IMPORT'
  );
}

function isRegistration(value: unknown): value is Registration {
  const candidate = (value ?? {}) as Partial<Record<keyof Registration, unknown>>;
  return (
    typeof candidate.name === 'string' &&
    typeof candidate.form === 'string' &&
    typeof candidate.load === 'function' &&
    Array.isArray(candidate.schemes) &&
    candidate.schemes.every((scheme) => typeof scheme === 'string')
  );
}
