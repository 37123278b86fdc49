/** Which entries are wanted: `--include` and `--exclude`, or a platform's patterns, over paths relative to the model. */
import picomatch from 'picomatch';
import type { Settings } from '../options.ts';
import { fnmatch } from './fnmatch.ts';

type Matches = (path: string) => boolean;

/**
 * Includes first (none means everything), then excludes. Globs as picomatch has them: `*` stays within a segment, `**`
 * crosses them, dotfiles match; a pattern without `/` is matched against the last segment, as in `.gitignore`.
 *
 * A platform's patterns stand where nobody gave such globs: `allow` for includes, `ignore` for excludes. They have the
 * meaning of Python's `fnmatch` over the whole path, and choose among the files of a folder: a source that is a `single`
 * file is what was asked for.
 */
export function makeFilter(
  { include, exclude, patterns }: Pick<Settings, 'include' | 'exclude'> & Partial<Settings>,
  source: { readonly single?: boolean; readonly patternsBy?: 'top' } = {},
): Matches {
  const platform = source.single === true ? undefined : patterns;
  const pattern = source.patternsBy === 'top' ? topOnly : fnmatch;
  const included = include.length > 0 ? include.map(glob) : (platform?.allow ?? []).map(pattern);
  const excluded = exclude.length > 0 ? exclude.map(glob) : (platform?.ignore ?? []).map(pattern);
  return (path) =>
    (included.length === 0 || included.some((matches) => matches(path))) &&
    !excluded.some((matches) => matches(path));
}

function topOnly(pattern: string): Matches {
  const matches = fnmatch(pattern);
  return (path) => matches(path.split('/', 1)[0]!);
}

function glob(pattern: string): Matches {
  return picomatch(pattern, { dot: true, basename: !pattern.includes('/'), strictBrackets: false });
}
