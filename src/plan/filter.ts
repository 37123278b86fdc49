/** Which entries are wanted: `--include` and `--exclude`, over paths relative to the model. */
import picomatch from 'picomatch';

/**
 * Includes first (none means everything), then excludes. Globs as picomatch has them: `*` stays within a segment, `**`
 * crosses them, dotfiles match; a pattern without `/` is matched against the last segment, as in `.gitignore`.
 */
export function makeFilter(
  include: readonly string[],
  exclude: readonly string[],
): (path: string) => boolean {
  const included = matchers(include);
  const excluded = matchers(exclude);
  return (path) =>
    (included.length === 0 || included.some((matches) => matches(path))) &&
    !excluded.some((matches) => matches(path));
}

function matchers(patterns: readonly string[]): ((path: string) => boolean)[] {
  return patterns.map((pattern) =>
    picomatch(pattern, { dot: true, basename: !pattern.includes('/'), strictBrackets: false }),
  );
}
