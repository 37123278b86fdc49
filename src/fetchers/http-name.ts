/** What the file behind a URL is called. */
import { dispositionName } from '../http/content-disposition.ts';

/** Names that say what a file is: archives, and the formats model servers read. */
const KNOWN =
  /\.(?:tar|tgz|tbz2?|txz|tar\.\w+|gz|zip|zst|bz2|xz|onnx|pt|pth|pkl|pickle|joblib|bst|ubj|json|bin|h5|keras|hdf5|pb|pmml|txt|model|safetensors|gguf|ggml|tflite|engine|plan|mar|cbm|lgb|msgpack|npz|npy|parquet|xml)$/i;
/** Of a path segment on the usual file systems. */
const MAX_BYTES = 255;
const FALLBACK = 'model';

/**
 * The base name, in this order: what the server says, the path when it ends in a known kind of file, a query parameter
 * that does (`/download?path=/x/model.zip`), the path whatever it ends in, else `model`.
 */
export function fileName(url: URL, contentDisposition: string | undefined): string {
  const fromPath = baseName(decoded(url.pathname));
  const fromQuery = [...url.searchParams.values()].map(baseName).find(isKnown);
  return (
    baseName(dispositionName(contentDisposition)) ??
    (isKnown(fromPath) ? fromPath : undefined) ??
    fromQuery ??
    fromPath ??
    FALLBACK
  );
}

/** The last segment, on any system; undefined when nothing usable is left. */
function baseName(text: string | undefined): string | undefined {
  const name = (text ?? '')
    .replace(/[\u0000-\u001f\u007f]/g, '')
    .split(/[/\\]/)
    .at(-1)!
    .trim();
  if (name === '' || name === '.' || name === '..') return undefined;
  return Buffer.byteLength(name) > MAX_BYTES ? undefined : name;
}

function isKnown(name: string | undefined): name is string {
  return name !== undefined && KNOWN.test(name);
}

/** Only the last segment is decoded, so that an encoded slash cannot make it two. */
function decoded(pathname: string): string {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
