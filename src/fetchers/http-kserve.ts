/** What KServe makes of a URL and its answer, for `--compat kserve`. Source: `_download_from_uri`, and Python's `mimetypes`. */
import { ModelFetchError } from '../errors.ts';
import type { Entry } from '../fetcher.ts';

type Kind = 'tar' | 'zip' | 'other' | undefined;
interface Guess {
  readonly kind: Kind;
  /** Compression by the name's last ending. */
  readonly packed: string | undefined;
}

/** Extensions with a type of their own in Python 3.11 without a `mime.types`, as in KServe's image. */
const KNOWN = new Set(
  (
    '3g2 3gp 3gpp 3gpp2 a aac adts ai aif aifc aiff ass au avi avif bat bcpio bin bmp c cdf cpio csh css csv dll doc dot ' +
    'dvi eml eps etx exe gif gtar h h5 hdf heic heif htm html ico ief jpe jpeg jpg js json ksh latex loas m1v m3u m3u8 man ' +
    'me mht mhtml mif mjs mov movie mp2 mp3 mp4 mpa mpe mpeg mpg ms n3 nc nq nt nws o obj oda opus p12 p7c pbm pdf pfx pgm ' +
    'pl png pnm pot ppa ppm pps ppt ps pwz py pyc pyo qt ra ram ras rdf rgb roff rtx sgm sgml sh shar snd so src srt ' +
    'sv4cpio sv4crc svg swf t tcl tex texi texinfo tif tiff tr trig tsv txt ustar vcf vtt wasm wav webm webmanifest wiz ' +
    'wsdl xbm xlb xls xml xpdl xpm xsl xwd'
  ).split(' '),
);
const LONG: Readonly<Record<string, string>> = {
  '.svgz': '.svg.gz',
  '.tgz': '.tar.gz',
  '.taz': '.tar.gz',
  '.tz': '.tar.gz',
  '.tbz2': '.tar.bz2',
  '.txz': '.tar.xz',
};
const PACKED: Readonly<Record<string, string>> = {
  '.gz': 'gzip',
  '.Z': 'compress',
  '.bz2': 'bzip2',
  '.xz': 'xz',
  '.br': 'br',
};
/** What the answer's type must begin with. */
const TYPES: Readonly<Record<'tar' | 'zip' | 'other', readonly string[]>> = {
  zip: ['application/x-zip-compressed', 'application/zip', 'application/zip-compressed'],
  tar: ['application/x-tar', 'application/x-gtar', 'application/x-gzip', 'application/gzip'],
  other: ['application/octet-stream'],
};

/**
 * The file behind `raw`, the URL as it was given, answered with `contentType`: named by the last segment as it is written,
 * an archive by the path's ending or else the query's, and stored decompressed when it ends in `.gz`. Throws `INVALID_URI`
 * for a URL without a name, `BAD_RESPONSE` for a type that KServe does not take.
 */
export function kserveEntry(
  raw: string,
  contentType: string | undefined,
): Pick<Entry, 'path' | 'named' | 'archive' | 'encoding'> {
  const [, path = '', query = ''] = /^[^:]+:\/\/[^/?#]*([^?#]*)(?:\?([^#]*))?/.exec(raw) ?? [];
  const bare = path.replace(/;[^/]*$/, '');
  const name = bare.slice(bare.lastIndexOf('/') + 1);
  if (name === '')
    throw new ModelFetchError('INVALID_URI', 'the URL ends in no file name', {
      uri: raw,
      hint: 'KServe needs one. Without --compat kserve the file is then called model.',
    });
  const byPath = guess(bare);
  const { kind, packed } = byPath.kind === undefined && query !== '' ? guess(query) : byPath;
  const types = TYPES[kind ?? 'other'];
  if (!types.some((type) => contentType?.startsWith(type)))
    throw new ModelFetchError(
      'BAD_RESPONSE',
      `the server calls ${name} ${contentType ?? 'nothing'}, not ${types.join(' or ')}`,
      { uri: raw, hint: 'KServe refuses it. Without --compat kserve any type will do.' },
    );
  if (kind === 'zip') return { path: name, named: 'model.zip', archive: { format: 'zip' } };
  if (kind === 'tar')
    return packed === 'gzip'
      ? { path: name, named: 'model.tar.gz', archive: { format: 'tar.gz' } }
      : { path: name, named: 'model.tar' };
  if (packed === 'gzip') return { path: `${name}.tar`, named: '', encoding: 'gzip' };
  return { path: name, named: '' };
}

/** `mimetypes.guess_type`: case counts in what compresses, and nowhere else. */
function guess(text: string): Guess {
  let [base, ending] = split(text);
  const long = LONG[ending.toLowerCase()];
  if (long !== undefined) [base, ending] = split(base + long);
  const packed = Object.hasOwn(PACKED, ending) ? PACKED[ending] : undefined;
  if (packed !== undefined) [, ending] = split(base);
  const extension = ending.slice(1).toLowerCase();
  const kind = extension === 'tar' || extension === 'zip' ? extension : undefined;
  return { kind: kind ?? (KNOWN.has(extension) ? 'other' : undefined), packed };
}

/** `posixpath.splitext`: dots at the beginning of a name begin no ending. */
function split(text: string): [base: string, ending: string] {
  const name = text.slice(text.lastIndexOf('/') + 1);
  const ending = /^\.*[^.].*?(\.[^.]*)$/s.exec(name)?.[1] ?? '';
  return [text.slice(0, text.length - ending.length), ending];
}
