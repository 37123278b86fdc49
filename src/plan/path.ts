/** Safe paths: the one place every path passes through before something is written under its name. */
import { ModelFetchError } from '../errors.ts';

/** The only name in a target that is ours. */
export const OWN = '.model-fetch';

/** Bytes of one component (NAME_MAX), bytes of the whole (PATH_MAX), components. Source: `limits.h` of Linux. */
const MOST = { component: 255, path: 4096, depth: 64 } as const;

/** C0 and C1 controls, DEL, and the line separators that some log readers break at. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
/** Characters that make a name read differently from what it is. Source: UAX #9, explicit formatting. */
const BIDI = /[\u202a-\u202e\u2066-\u2069]/;
const DRIVE = /^[A-Za-z]:/;
/** What the kubelet puts at the top of a volume it updates atomically: the link `..data` and dated folders. */
const KUBERNETES = /^\.\.(data(_tmp)?$|\d{4}_)/;
const ASCII = /^[\u0000-\u007f]*$/;
/** Letters, digits, `_`, `-` and `.`, in components that begin with none of the last two. */
const PLAIN = /^(?:\w[\w.-]*\/)*\w[\w.-]*$/;

/** Where `path` came from: a listing (`UNSAFE_PATH`) or an archive (`UNSAFE_ARCHIVE`, and a leading `./` is tolerated). */
export type PathOrigin = 'entry' | 'member';

/**
 * `path` as it may be written below the target: relative, `/`-separated, normal. Refuses rather than repairs, because a
 * repaired path is another file. Throws `UNSAFE_PATH` or `UNSAFE_ARCHIVE` with the reason.
 */
export function safePath(path: string, what: PathOrigin): string {
  const relative = what === 'member' ? withoutLeadingDots(path) : path;
  const reason = unsafe(relative);
  if (reason === undefined) return relative;
  throw new ModelFetchError(
    what === 'entry' ? 'UNSAFE_PATH' : 'UNSAFE_ARCHIVE',
    `the ${what === 'entry' ? 'file' : 'member'} name ${showPath(path)} is refused: ${reason}`,
    {
      path: showPath(path),
      hint:
        what === 'entry'
          ? 'Rename it at the source, or leave it out with --exclude.'
          : 'Make the archive again from inside the model folder, with plain relative names.',
    },
  );
}

/**
 * A key that is equal for names some file system takes for the same: upper and lower case, composed and decomposed,
 * ligatures. Two different paths with one key must not both be written.
 */
export function foldPath(path: string): string {
  if (ASCII.test(path)) return path.toLowerCase();
  return path.split('/').map(foldComponent).join('/');
}

/** `path` for people: quoted, shortened, with everything that could disturb a terminal or a log escaped. */
export function showPath(path: string): string {
  const short = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  return JSON.stringify(short.toWellFormed()).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function unsafe(path: string): string | undefined {
  // Most are: nothing below can be wrong with so short a path of so few characters.
  if (path.length < 2 * MOST.depth && PLAIN.test(path)) return undefined;
  if (path === '') return 'it is empty';
  if (path.startsWith('/')) return 'it is absolute';
  if (CONTROL.test(path)) return 'it holds a control character';
  if (BIDI.test(path)) return 'it holds a character that changes the reading direction';
  if (!path.isWellFormed()) return 'it is not valid Unicode';
  if (path.includes('\\')) return 'it holds a backslash';
  if (DRIVE.test(path)) return 'it starts like a drive letter';
  if (Buffer.byteLength(path) > MOST.path) return `it is longer than ${MOST.path} bytes`;
  const components = path.split('/');
  if (components.length > MOST.depth) return `it is more than ${MOST.depth} folders deep`;
  for (const component of components) {
    if (component === '') return 'it has an empty component';
    if (component === '..') return 'it leads out of its folder with ".."';
    if (component === '.') return 'it has a "." component';
    if (Buffer.byteLength(component) > MOST.component)
      return `a component is longer than ${MOST.component} bytes`;
  }
  const first = foldPath(components[0]!);
  if (first === OWN) return `${OWN} is where this program keeps its own files`;
  if (KUBERNETES.test(first)) return 'Kubernetes keeps its own files under that name';
  return undefined;
}

/** `./x` and `././x` as `x`: how tar writes the members of `.`. */
function withoutLeadingDots(path: string): string {
  let from = 0;
  while (path.startsWith('./', from)) from += 2;
  return from === 0 ? path : path.slice(from);
}

/** Upper case first: it expands `ß` and ligatures. A folded `/` (from U+FF0F) must not become a separator. */
function foldComponent(component: string): string {
  return component
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC')
    .replaceAll('/', '\uff0f');
}
