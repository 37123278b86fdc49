/**
 * Where we differ from KServe's storage initializer, on purpose. This table is the one source: `npm run test:real` fails
 * on a difference that no row explains and on a row that nothing shows any more; `docs/compat.md` is rendered from it.
 */

/** One thing that is not the same after both programs ran. */
export interface Difference {
  readonly scheme: 's3' | 'gs' | 'http' | 'file';
  readonly uri: string;
  readonly kind:
    | 'only ours'
    | 'only KServe'
    | 'content'
    | 'only KServe failed'
    | 'only we failed'
    | 'linked by KServe';
  /** Of the file, relative to the target; absent when one program failed. */
  readonly path?: string;
  /** Bytes of the file. */
  readonly size?: number;
  /** Every object of the bucket: key and bytes. Empty where there is no bucket. */
  readonly objects: ReadonlyMap<string, number>;
  /** What is peculiar about the source, in the words of the case that made it. */
  readonly trait?: string;
  /** What the target held before both ran, if anything. */
  readonly before?: ReadonlySet<string>;
}

export interface Explanation {
  readonly name: string;
  readonly schemes: readonly Difference['scheme'][];
  readonly kserve: string;
  readonly ours: string;
  readonly reason: string;
  readonly explains: (difference: Difference) => boolean;
}

export const EXPLANATIONS: readonly Explanation[] = [
  {
    name: 'empty files',
    schemes: ['s3'],
    kserve: 'drops objects of zero bytes',
    ours: 'keeps them',
    reason: 'Models need their empty files: `__init__.py`, markers, empty vocabularies.',
    explains: ({ kind, size }) => kind === 'only ours' && size === 0,
  },
  {
    name: 'models of empty files alone',
    schemes: ['s3'],
    kserve: 'fails: no model found',
    ours: 'publishes them',
    reason: 'Follows from keeping empty files.',
    explains: ({ kind, uri, objects }) =>
      kind === 'only KServe failed' && named(uri, objects).every(([, size]) => size === 0),
  },
  {
    name: 'neighbours of a prefix',
    schemes: ['s3'],
    kserve: '`s3://b/m` also brings `m-v2/a` as `-v2/a`, and `m.txt` as `.txt`',
    ours: 'takes `m` itself or what is below `m/`',
    reason: 'Another version of the model, or half of one, must not end up in the target.',
    explains: ({ kind, uri, path, objects }) =>
      kind === 'only KServe' && path !== undefined && neighbours(uri, objects).includes(path),
  },
  {
    name: 'a whole bucket',
    schemes: ['gs'],
    kserve: '`gs://bucket` fails: not found',
    ours: 'takes every object of the bucket, as `s3://bucket` does in both',
    reason: 'The same form means the same for every object store.',
    explains: ({ kind, uri }) => kind === 'only KServe failed' && /^gs:\/\/[^/]+\/?$/.test(uri),
  },
  {
    name: 'files of the model before',
    schemes: ['s3', 'gs'],
    kserve: 'leaves files in the target that the source no longer has',
    ours: 'removes what an earlier run of ours published and the source no longer has; foreign files stay',
    reason: 'A server must not load a mixture of two models.',
    explains: ({ kind, path, before }) =>
      kind === 'only KServe' && path !== undefined && before?.has(path) === true,
  },
  {
    name: 'Zstandard archives',
    schemes: ['s3', 'gs'],
    kserve: 'leaves a `.tar.zst` as it is',
    ours: 'unpacks it like any other archive',
    reason: '`--unpack never` keeps archives as they are.',
    explains: ({ kind, uri }) =>
      (kind === 'only ours' || kind === 'only KServe') && uri.endsWith('.tar.zst'),
  },
  {
    name: 'names that are no safe paths',
    schemes: ['s3', 'gs'],
    kserve: 'writes them, or fails in the middle',
    ours: 'refuses the model before anything is written (exit 14): `..`, `//`, a backslash, control characters, a leading `C:`',
    reason: 'A key is not to be trusted, and a repaired path would be another file.',
    explains: ({ kind, uri, objects }) =>
      kind === 'only we failed' &&
      named(uri, objects).some(([key]) => UNSAFE.test(key.slice(keyOf(uri).length + 1))),
  },
  ...fromTraits([
    {
      name: 'content types',
      schemes: ['http'],
      kserve:
        'fails unless the type is one of a few for the name: JSON, text, or an archive sent as octet-stream do not pass',
      ours: 'takes any type; archives are told by their content',
      reason: 'Presigned URLs, artifact stores and plain file servers send all sorts of types.',
    },
    {
      name: 'a file that is merely compressed',
      schemes: ['http'],
      kserve: 'stores `p.pkl.gz` decompressed, as `p.pkl.gz.tar`',
      ours: 'keeps `p.pkl.gz`',
      reason: 'It is no archive, and no server looks for the other name.',
    },
    {
      name: 'escapes in URLs',
      schemes: ['http'],
      kserve: 'keeps `my%20model.bin` as the name',
      ours: 'writes `my model.bin`',
      reason: 'That is the name that was escaped.',
    },
    {
      name: 'a name from the server',
      schemes: ['http'],
      kserve: 'ignores `Content-Disposition`',
      ours: 'uses its file name, after the same checks as any other',
      reason: '`…/download?id=7` says nothing about what it is.',
    },
    {
      name: 'errors that pass',
      schemes: ['http'],
      kserve:
        'gives up at the first 503 or broken body, and leaves the partial file under its final name',
      ours: 'tries again, from the byte reached; nothing partial is ever visible',
      reason: 'A rollout should not fail because a proxy restarted.',
    },
    {
      name: 'hidden files',
      schemes: ['file'],
      kserve: 'skips names with a leading dot, at the top of the folder only',
      ours: 'takes every file',
      reason: 'They are part of the model, as with every other scheme.',
    },
    {
      name: 'copies instead of links',
      schemes: ['file'],
      kserve: 'puts symbolic links to the entries of the folder into the target',
      ours: 'clones or copies; `--link symlink` links',
      reason: 'A published model must not change when its source does, nor vanish with it.',
    },
  ]),
];

/** Rows whose cases make one peculiar source each, and say so. */
function fromTraits(rows: readonly Omit<Explanation, 'explains'>[]): Explanation[] {
  return rows.map((row) => ({ ...row, explains: ({ trait }) => trait === row.name }));
}

/** Within a model: an empty component or dots alone, a backslash, a control character, a drive letter. */
const UNSAFE = /(^|\/)\.{0,2}(\/|$)|[\\\u0000-\u001f\u007f]|^[A-Za-z]:/;

/** The objects that `uri` names: itself and what is below it. */
function named(uri: string, objects: ReadonlyMap<string, number>): [string, number][] {
  const prefix = keyOf(uri);
  const below = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  return [...objects].filter(([key]) => key === prefix || key.startsWith(below));
}

/** Where KServe puts objects whose keys merely begin with the same letters. */
function neighbours(uri: string, objects: ReadonlyMap<string, number>): string[] {
  const prefix = keyOf(uri);
  if (prefix.endsWith('/')) return [];
  return [...objects.keys()]
    .filter((key) => key.startsWith(prefix) && key !== prefix && key[prefix.length] !== '/')
    .map((key) => key.slice(prefix.length));
}

const keyOf = (uri: string): string => uri.replace(/^[a-z0-9]+:\/\/[^/]+\/?/, '');
