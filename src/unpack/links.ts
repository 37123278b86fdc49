/** Where symbolic links lead: decided on the finished tree, the way the kernel would, before one of them exists. */
import { unsafeMember } from './refuse.ts';
import type { Node } from './tree.ts';

/** As many links as Linux follows before it answers ELOOP. */
const MOST_FOLLOWED = 40;

type Target = Exclude<Node, { kind: 'link' }>;

/**
 * Checks that `link` ends at a file or folder of the archive. Every component is resolved in turn, links among them
 * included, so `..` goes up from where a link led and not from how it was spelled. Throws `UNSAFE_ARCHIVE`.
 */
export function leadsTo(
  link: Extract<Node, { kind: 'link' }>,
  at: (path: string) => Node | undefined,
): Target {
  const refuse = (why: string): Error =>
    unsafeMember(link.path, `it is a link that ${why}`, KEEP_LINKS_INSIDE);
  checkSpelling(link.target, refuse);

  let followed = 1;
  const ahead = link.target.split('/').reverse();
  let here = at(parentOf(link.path)) as Target;
  for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
    if (here.kind !== 'directory') throw refuse(`goes through ${here.path}, which is no folder`);
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (here.path === '') throw refuse('leads out of the archive');
      here = at(parentOf(here.path)) as Target;
      continue;
    }
    const next = at(here.path === '' ? part : `${here.path}/${part}`);
    if (!next) throw refuse('leads to nothing in the archive');
    if (next.kind !== 'link') {
      here = next;
      continue;
    }
    if (++followed > MOST_FOLLOWED) throw refuse('leads back to itself');
    checkSpelling(next.target, refuse);
    ahead.push(...next.target.split('/').reverse());
  }
  if (
    here.kind === 'directory' &&
    `${link.path}/`.startsWith(here.path === '' ? '' : `${here.path}/`)
  )
    throw refuse('leads to a folder that it is in itself, which never ends for whoever follows it');
  return here;
}

const KEEP_LINKS_INSIDE =
  'Replace the link with the file it leads to (tar --dereference does that).';

function checkSpelling(target: string, refuse: (why: string) => Error): void {
  if (target === '') throw refuse('leads nowhere');
  if (target.startsWith('/')) throw refuse('is absolute');
  if (target.includes('\\') || /^[A-Za-z]:/.test(target)) throw refuse('is spelled for Windows');
  if (/[\u0000-\u001f\u007f-\u009f\ufffd]/.test(target) || Buffer.byteLength(target) > 4095)
    throw refuse('has a target that is no plain path');
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}
