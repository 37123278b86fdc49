/** `model_uri`: a mounted directory is used as it is; a URI is fetched first; without one a model needs no files. */
import { fileURLToPath } from 'node:url';

export interface FetchSettings {
  /** Where a model that is given by URI goes. */
  readonly store: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
  readonly log: (message: string) => void;
}

const SCHEME = /^[a-z][a-z0-9+.-]*:/i;

/** The directory that `uri` stands for, once its files are there, whole and checked. Throws what the library throws. */
export async function provideModel(uri: string, settings: FetchSettings): Promise<string> {
  if (!SCHEME.test(uri)) return uri;
  if (uri.startsWith('file://')) return fileURLToPath(uri);
  const { fetchModel } = await library();
  const { store, env, signal } = settings;
  const { files, bytes, unchanged, seconds } = await fetchModel(uri, store, {
    env,
    ...(signal && { signal }),
  });
  const what = unchanged ? 'is there already' : `fetched in ${seconds.toFixed(1)} s`;
  settings.log(`${store}: ${files} files, ${bytes} bytes, ${what}`);
  return store;
}

/** As much of the package as is used here: so that this project can be checked and started without it. */
interface Library {
  fetchModel(
    uri: string,
    dest: string,
    options: { env: FetchSettings['env']; signal?: AbortSignal },
  ): Promise<{ files: number; bytes: number; unchanged: boolean; seconds: number }>;
}

const LIBRARY: string = 'model-fetch';

/** Only a server that is given a URI needs the library, so only that one loads it. */
async function library(): Promise<Library> {
  try {
    return (await import(LIBRARY)) as Library;
  } catch (cause) {
    throw new Error(
      'model_uri is a URI, and the package model-fetch cannot be loaded. Install it, or mount a directory and name that.',
      { cause },
    );
  }
}
