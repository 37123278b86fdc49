/** Runs both programs on the same source and looks for a row of the table behind every difference. */
import { EXPLANATIONS, type Difference } from './differences.ts';
import type { Outcome, Tree } from './programs.ts';

/** Names of the rows that have explained something in this run. */
export const shown = new Set<string>();

/** What differs and is not explained, in words. */
export function unexplained(
  source: Omit<Difference, 'kind' | 'path' | 'size'>,
  ours: Result,
  theirs: Result,
): string[] {
  const words: string[] = [];
  for (const difference of differences(ours, theirs)) {
    const whole = { ...source, ...difference };
    const row = EXPLANATIONS.find(
      (one) =>
        one.schemes.includes(whole.scheme) &&
        (one.compat === 'as by default' || !whole.compat) &&
        one.explains(whole),
    );
    if (row) shown.add(row.name);
    else words.push(`${whole.uri}: ${whole.kind} ${whole.path ?? ''}`.trimEnd());
  }
  return words;
}

/** What is compared of an outcome. */
type Result = Pick<Outcome, 'status' | 'tree' | 'links'>;
type Found = Pick<Difference, 'kind' | 'path' | 'size'>;

function differences(ours: Result, theirs: Result): Found[] {
  if (ours.status !== 0 && theirs.status !== 0) return [];
  if (ours.status !== 0) return [{ kind: 'only we failed' }];
  if (theirs.status !== 0) return [{ kind: 'only KServe failed' }];
  return [
    ...missing(ours.tree, theirs.tree).map(([path, body]): Found => ({
      kind: 'only ours',
      path,
      size: body.length,
    })),
    ...missing(theirs.tree, ours.tree).map(([path, body]): Found => ({
      kind: 'only KServe',
      path,
      size: body.length,
    })),
    ...[...ours.tree]
      .filter(([path, body]) => theirs.tree.get(path)?.equals(body) === false)
      .map(([path, body]): Found => ({ kind: 'content', path, size: body.length })),
    ...theirs.links
      .filter((path) => !isLinked(ours, path))
      .map((path): Found => ({ kind: 'linked by KServe', path })),
  ];
}

/** A folder that KServe links is linked file by file here. */
function isLinked({ links, tree }: Result, path: string): boolean {
  const inside = [...tree.keys()].filter((one) => one.startsWith(`${path}/`));
  return inside.length > 0 ? inside.every((one) => links.includes(one)) : links.includes(path);
}

function missing(from: Tree, other: Tree): [string, Buffer][] {
  return [...from].filter(([path]) => !other.has(path));
}
