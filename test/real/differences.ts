/**
 * Where we differ from KServe's storage initializer, on purpose. This table is the one source: `npm run test:real` fails
 * on a difference that no row explains and on a row that nothing shows any more; `docs/compat.md` is rendered from it.
 */

/** One thing that is not the same after both programs ran. */
export interface Difference {
  readonly scheme: 's3' | 'gs' | 'http' | 'file' | 'pvc';
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
  /** Every object of the bucket, or file of the folder: key or path, and bytes. Empty where there is neither. */
  readonly objects: ReadonlyMap<string, number>;
  /** What is peculiar about the source: names of rows, given by the case that made it. */
  readonly traits?: readonly string[];
  /** Patterns that were set. */
  readonly patterns?: Readonly<Record<string, string>>;
  /** Ours was asked to be like KServe. */
  readonly compat?: boolean;
  /** What the target held before both ran, if anything. */
  readonly before?: ReadonlySet<string>;
}

export interface Explanation {
  readonly name: string;
  readonly schemes: readonly Difference['scheme'][];
  readonly kserve: string;
  readonly ours: string;
  readonly reason: string;
  /** What `--compat kserve` gives. Ours stays only where KServe's would be unsafe, or is nothing to rely on. */
  readonly compat: 'as KServe' | 'as by default';
  readonly explains: (difference: Difference) => boolean;
}

export const EXPLANATIONS: readonly Explanation[] = [
  {
    name: 'empty files',
    schemes: ['s3'],
    kserve: 'drops objects of zero bytes',
    ours: 'keeps them',
    reason: 'Models need their empty files: `__init__.py`, markers, empty vocabularies.',
    compat: 'as KServe',
    explains: ({ kind, size }) => kind === 'only ours' && size === 0,
  },
  {
    name: 'models of empty files alone',
    schemes: ['s3'],
    kserve: 'fails: no model found',
    ours: 'publishes them',
    reason: 'Follows from keeping empty files.',
    compat: 'as KServe',
    explains: ({ kind, uri, objects }) =>
      kind === 'only KServe failed' && named(uri, objects).every(([, size]) => size === 0),
  },
  {
    name: 'neighbours of a prefix',
    schemes: ['s3'],
    kserve:
      '`s3://b/m` also brings `m-v2/a` as `-v2/a`, and `m.txt` as `.txt`, and fails where one of these must be a file and a folder',
    ours: 'takes `m` itself or what is below `m/`',
    reason: 'Another version of the model, or half of one, must not end up in the target.',
    compat: 'as KServe',
    explains: ({ kind, uri, path, objects }) =>
      (kind === 'only KServe' && path !== undefined && neighbours(uri, objects).includes(path)) ||
      (kind === 'only KServe failed' && clash(neighbours(uri, objects))) ||
      // Half a name.
      (kind === 'only we failed' &&
        named(uri, objects).length === 0 &&
        neighbours(uri, objects).length > 0),
  },
  {
    name: 'a whole bucket',
    schemes: ['gs'],
    kserve: '`gs://bucket` fails: not found',
    ours: 'takes every object of the bucket, as `s3://bucket` does in both',
    reason: 'The same form means the same for every object store.',
    compat: 'as KServe',
    explains: ({ kind, uri }) => kind === 'only KServe failed' && /^gs:\/\/[^/]+\/?$/.test(uri),
  },
  {
    name: 'files of the model before',
    schemes: ['s3', 'gs'],
    kserve: 'leaves files in the target that the source no longer has',
    ours: 'removes what an earlier run of ours published and the source no longer has; foreign files stay',
    reason: 'A server must not load a mixture of two models.',
    compat: 'as KServe',
    explains: ({ kind, path, before }) =>
      kind === 'only KServe' && path !== undefined && before?.has(path) === true,
  },
  {
    name: 'which file is the only one',
    schemes: ['s3', 'gs', 'file', 'pvc'],
    kserve: 'counts what it takes by its own rules: no empty objects, neighbours, no hidden files',
    ours: 'counts the files of the model; the only one is unpacked if it is an archive',
    reason: 'Follows from the rows about what belongs to a model.',
    compat: 'as KServe',
    explains: ({ uri, scheme, objects }) =>
      [...objects.keys()].some((key) => ARCHIVE.test(key)) &&
      (scheme === 's3'
        ? neighbours(uri, objects).length > 0 || named(uri, objects).some(([, size]) => size === 0)
        : [...objects.keys()].some((key) => /(^|\/)\.[^/]*$|\/\.[^/]+\//.test(key))),
  },
  {
    name: 'the last object tells',
    schemes: ['gs'],
    kserve:
      'takes the name of the last object that is listed, wanted or not, for that of the only file',
    ours: 'goes by the name of the file itself',
    reason: 'A marker or a readme that is left out must not decide what is unpacked.',
    compat: 'as KServe',
    explains: ({ uri, objects, patterns }) =>
      named(uri, objects).some(([key]) => ARCHIVE.test(key)) &&
      (Object.keys(patterns ?? {}).length > 0 ||
        named(uri, objects).some(([key]) => key.endsWith('/'))),
  },
  {
    name: 'an object beside the marker of a folder',
    schemes: ['gs'],
    kserve: 'fails where both `m` and an empty `m/` are there',
    ours: 'takes the object `m`',
    reason: 'The marker holds nothing; consoles make it.',
    compat: 'as KServe',
    explains: ({ kind, uri, objects }) =>
      kind === 'only KServe failed' && objects.get(`${keyOf(uri)}/`) === 0,
  },
  {
    name: 'question marks and hashes in keys',
    schemes: ['s3'],
    kserve: 'cuts the key at `?` or `#`, and takes what begins with the rest',
    ours: 'takes the key as it is written; only `?versionId=…` at its end is no part of it',
    reason: 'A key may hold any character, and half of one is another.',
    compat: 'as KServe',
    explains: ({ uri }) => /[?#]/.test(keyOf(uri)),
  },
  {
    name: 'patterns over local folders',
    schemes: ['file', 'pvc'],
    kserve: 'compares them with the names at the top of the folder alone',
    ours: 'compares them with the path of each file, as for object stores',
    reason: 'The same patterns choose the same files, wherever the model is.',
    compat: 'as KServe',
    explains: ({ patterns }) => Object.keys(patterns ?? {}).length > 0,
  },
  {
    name: 'an archive further down',
    schemes: ['file', 'pvc'],
    kserve: 'leaves the only file as it is when it is in a folder of the folder',
    ours: 'unpacks it, as it does for object stores',
    reason: 'The same tree becomes the same model, wherever it is.',
    compat: 'as KServe',
    explains: ({ kind, objects, uri }) =>
      kind !== 'linked by KServe' &&
      named(uri, objects).some(([key]) => ARCHIVE.test(key) || !/\.[^/]*$/.test(key)),
  },
  {
    name: 'what stands in the way',
    schemes: ['s3', 'gs'],
    kserve:
      'fails where an earlier model has a file that the new one needs as a folder, or the reverse',
    ours: 'removes what an earlier run of ours published; a foreign file is a conflict (exit 15)',
    reason: 'An earlier model must not keep a new one from its place.',
    compat: 'as by default',
    explains: ({ kind, before }) => kind === 'only KServe failed' && before !== undefined,
  },
  {
    name: 'names that are no safe paths',
    schemes: ['s3', 'gs'],
    kserve: 'writes them, or fails in the middle',
    ours: 'refuses the model before anything is written (exit 14): `..`, `//`, a backslash, control characters, a leading `C:`',
    reason: 'A key is not to be trusted, and a repaired path would be another file.',
    compat: 'as by default',
    explains: ({ kind, uri, objects }) =>
      kind === 'only we failed' &&
      named(uri, objects).some(([key]) => UNSAFE.test(key.slice(keyOf(uri).length + 1))),
  },
  {
    name: 'hidden files',
    schemes: ['file', 'pvc'],
    kserve: 'skips names with a leading dot, at the top of the folder only',
    ours: 'takes every file',
    reason: 'They are part of the model, as with every other scheme.',
    compat: 'as KServe',
    explains: ({ kind, path, uri, objects }) =>
      kind === 'only ours'
        ? path?.startsWith('.') === true
        : kind === 'only KServe failed' &&
          named(uri, objects).every(([key]) => /^\/?\./.test(key.slice(keyOf(uri).length))),
  },
  {
    name: 'copies instead of links',
    schemes: ['file', 'pvc'],
    kserve: 'puts symbolic links to the entries of the folder into the target',
    ours: 'clones or copies; `--link symlink` links',
    reason: 'A published model must not change when its source does, nor vanish with it.',
    compat: 'as KServe',
    explains: ({ kind }) => kind === 'linked by KServe',
  },
  {
    name: 'Zstandard archives',
    schemes: ['s3', 'gs', 'http', 'file', 'pvc'],
    kserve: 'leaves a `.tar.zst` as it is',
    ours: 'unpacks it like any other archive, and fails if it is none',
    reason: '`--unpack never` keeps archives as they are.',
    compat: 'as KServe',
    explains: ({ kind, uri, traits }) =>
      ['only ours', 'only KServe', 'only we failed'].includes(kind) &&
      (uri.endsWith('.tar.zst') || traits?.includes('Zstandard archives') === true),
  },
  ...fromTraits([
    {
      name: 'endings in capitals',
      schemes: ['s3', 'gs', 'http', 'file', 'pvc'],
      kserve: 'knows `.TGZ` and `.ZIP`, but leaves a `.tar.GZ` as it is',
      ours: 'unpacks it like any other archive, and fails if it is none',
      reason: 'Case says nothing about what is in a file.',
      compat: 'as KServe',
      kinds: ['only ours', 'only KServe', 'only we failed'],
    },
    {
      name: 'archives without an ending',
      schemes: ['s3', 'gs', 'http', 'file', 'pvc'],
      kserve: 'leaves them as they are',
      ours: 'unpacks the only file if its name has no ending and its content is plainly a tar',
      reason: 'Artifact stores and presigned URLs often drop names.',
      compat: 'as KServe',
      kinds: ['only ours', 'only KServe'],
    },
    {
      name: 'archives called something else',
      schemes: ['s3', 'gs', 'http', 'file', 'pvc'],
      kserve:
        'fails on a zip that is called `.tar`, a tar that is called `.zip`, a tar called `.tar.gz`',
      ours: 'goes by the content once the name says archive',
      reason: 'There is no doubt about what it is.',
      compat: 'as KServe',
      kinds: ['only KServe failed'],
    },
    {
      name: 'checkpoints called .tar',
      schemes: ['s3', 'gs', 'file', 'pvc'],
      kserve: 'fails on a `.pth.tar` that is no archive',
      ours: 'keeps it as it is',
      reason: 'PyTorch checkpoints of old are called so.',
      compat: 'as KServe',
      kinds: ['only KServe failed'],
    },
    {
      name: 'archives made by compress',
      schemes: ['s3', 'gs', 'file', 'pvc'],
      kserve: 'fails on `.tar.Z`',
      ours: 'keeps it as it is',
      reason: 'Neither can read it; a server perhaps can.',
      compat: 'as KServe',
      kinds: ['only KServe failed'],
    },
    {
      name: 'members that lead out of an archive',
      schemes: ['http'],
      kserve: 'writes `../evil` and `/evil` of a zip, and `/evil` of a tar, as `evil`',
      ours: 'refuses the archive, and publishes nothing (exit 16)',
      reason: 'Whoever made it meant harm, or another tree: a repaired path is another file.',
      compat: 'as by default',
      kinds: ['only we failed'],
    },
    {
      name: 'links in a zip',
      schemes: ['http'],
      kserve: 'writes a file that holds the name the link leads to',
      ours: 'refuses the archive (exit 16); links in a tar are kept where they stay inside',
      reason: 'Zip readers do not agree on links, and a file that holds a name is no model.',
      compat: 'as by default',
      kinds: ['only we failed'],
    },
    {
      name: 'a name in the query',
      schemes: ['http'],
      kserve:
        'calls `…/download?file=m.onnx` `download`, and knows an archive only where the query ends in its name',
      ours: 'takes the name out of the query where the path has no telling one; what is called an archive there must be one (exit 16)',
      reason: 'Servers look at names.',
      compat: 'as KServe',
      kinds: ['only ours', 'only KServe', 'only KServe failed', 'only we failed'],
    },
    {
      name: 'a URL without a name',
      schemes: ['http'],
      kserve: 'fails when the path ends in a slash',
      ours: 'calls the file `model`',
      reason: 'The file is there.',
      compat: 'as KServe',
      kinds: ['only KServe failed'],
    },
    {
      name: 'content types',
      schemes: ['http'],
      kserve:
        'fails unless the type is one of a few for the name: JSON, text, or an archive sent as octet-stream do not pass',
      ours: 'takes any type; archives are told by their content',
      reason: 'Presigned URLs, artifact stores and plain file servers send all sorts of types.',
      compat: 'as KServe',
      kinds: ['only KServe failed'],
    },
    {
      name: 'encoded answers',
      schemes: ['http'],
      kserve: 'writes what arrives, encoded where the server encodes what it was not asked to',
      ours: 'decodes gzip, but for names that say that they are compressed; another encoding is an error (exit 13)',
      reason: 'The encoding belongs to the way, and not to the file.',
      compat: 'as KServe',
      kinds: ['content', 'only we failed'],
    },
    {
      name: 'a file that is merely compressed',
      schemes: ['http'],
      kserve: 'stores `p.pkl.gz` decompressed, as `p.pkl.gz.tar`',
      ours: 'keeps `p.pkl.gz`',
      reason: 'It is no archive, and no server looks for the other name.',
      compat: 'as KServe',
      kinds: ['only ours', 'only KServe', 'only KServe failed'],
    },
    {
      name: 'escapes in URLs',
      schemes: ['http'],
      kserve: 'keeps `my%20model.bin` as the name',
      ours: 'writes `my model.bin`',
      reason: 'That is the name that was escaped.',
      compat: 'as KServe',
      kinds: ['only ours', 'only KServe'],
    },
    {
      name: 'a name from the server',
      schemes: ['http'],
      kserve: 'ignores `Content-Disposition`',
      ours: 'uses its file name, after the same checks as any other',
      reason: '`…/download?id=7` says nothing about what it is.',
      compat: 'as KServe',
      kinds: ['only ours', 'only KServe', 'only KServe failed'],
    },
    {
      name: 'errors that pass',
      schemes: ['http'],
      kserve:
        'gives up at the first 503 or broken body, and leaves the partial file under its final name',
      ours: 'tries again, from the byte reached; nothing partial is ever visible',
      reason: 'A rollout should not fail because a proxy restarted.',
      compat: 'as by default',
    },
  ]),
];

/** Rows whose cases make one peculiar source each, and say so. */
function fromTraits(
  rows: readonly (Omit<Explanation, 'explains'> & {
    readonly kinds?: readonly Difference['kind'][];
  })[],
): Explanation[] {
  return rows.map((row) => ({
    ...row,
    explains: ({ traits, kind }) =>
      traits?.includes(row.name) === true && (row.kinds ?? [kind]).includes(kind),
  }));
}

/** Names that one of both may take for an archive's. */
const ARCHIVE = /\.(tar(\.\w+)?|tgz|tbz2|txz|zip)$|(^|\/)packed$/i;
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

/** Whether one of `paths` is a folder of another. */
function clash(paths: readonly string[]): boolean {
  return paths.some((folder) => paths.some((path) => path.startsWith(`${folder}/`)));
}

/** Of an object; of a local source, its path. */
const keyOf = (uri: string): string =>
  /^(file:|\/)/.test(uri) ? uri.replace('file://', '') : uri.replace(/^[a-z0-9]+:\/\/[^/]+\/?/, '');
