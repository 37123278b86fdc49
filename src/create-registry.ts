/** A registry with the built-in schemes, for callers who add their own. */
import { builtins } from './fetchers/builtins.ts';
import { ResolverRegistry, type Env } from './registry.ts';

/** `env` is where the schemes look for credentials and endpoints; servers usually pass `process.env`. */
export function createRegistry(options: { readonly env?: Env } = {}): ResolverRegistry {
  return new ResolverRegistry(builtins, options.env ?? {});
}
