/** A name node and a data node over one tree in memory. */
import type { Files } from '../../src/testing/index.ts';
import { encodePath, json, serve, type Answer, type Served } from './serve.ts';

export interface HdfsServer {
  readonly nameNode: Served;
  readonly dataNode: Served;
  /** The folder now holds exactly these files. */
  write(folder: string, files: Files): void;
  close(): Promise<void>;
}

interface Stored {
  readonly bytes: Uint8Array;
  readonly time: number;
}

/** Folders are what files lie in, and what was once written to. */
export async function startHdfs(delegation: string): Promise<HdfsServer> {
  const files = new Map<string, Stored>();
  const folders = new Set(['']);

  const dataNode = await serve((asked) => {
    const stored = files.get(pathOf(asked.url));
    if (!stored) return exception(404, 'FileNotFoundException');
    const offset = Number(asked.url.searchParams.get('offset') ?? 0);
    if (offset > stored.bytes.length) return exception(403, 'IOException');
    const length = Number(asked.url.searchParams.get('length') ?? stored.bytes.length);
    // As the real one: no more than there is, and no sign that it is less than was asked for.
    return { body: stored.bytes.subarray(offset, offset + length) };
  });

  const nameNode = await serve((asked) => {
    const path = pathOf(asked.url);
    if (asked.url.searchParams.get('delegation') !== delegation)
      return exception(401, 'SecurityException');
    const stored = files.get(path);
    if (!stored && !folders.has(path)) return exception(404, 'FileNotFoundException');
    switch (asked.url.searchParams.get('op')) {
      case 'GETFILESTATUS':
        return json({ FileStatus: statusOf('', stored) });
      case 'LISTSTATUS':
        return json({ FileStatuses: { FileStatus: children(path) } });
      case 'OPEN': {
        const query = `op=OPEN&delegation=${delegation}&offset=0`;
        const location = `${dataNode.origin}/webhdfs/v1${encodePath(path)}?${query}`;
        return { status: 307, headers: { location } };
      }
      case null:
      default:
        return exception(400, 'UnsupportedOperationException');
    }
  });

  const children = (folder: string) => {
    const names = (paths: Iterable<string>) =>
      [...paths]
        .filter((path) => path !== '' && path.slice(0, path.lastIndexOf('/')) === folder)
        .map((path) => path.slice(folder.length + 1));
    return [...names(folders), ...names(files.keys())]
      .sort()
      .map((name) => statusOf(name, files.get(`${folder}/${name}`)));
  };

  return {
    nameNode,
    dataNode,
    write: (folder, tree) => {
      for (const kept of [files, folders])
        for (const path of kept.keys()) if (path.startsWith(`${folder}/`)) kept.delete(path);
      addFolder(folders, folder);
      for (const [path, bytes] of Object.entries(tree)) {
        const whole = `${folder}/${path}`;
        addFolder(folders, whole.slice(0, whole.lastIndexOf('/')));
        files.set(whole, { bytes, time: Date.now() });
      }
    },
    close: async () => {
      await Promise.all([nameNode.close(), dataNode.close()]);
    },
  };
}

function addFolder(folders: Set<string>, folder: string): void {
  for (let path = folder; path !== ''; path = path.slice(0, path.lastIndexOf('/')))
    folders.add(path);
}

function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname).replace(/^\/webhdfs\/v1/, '');
}

function statusOf(pathSuffix: string, stored: Stored | undefined) {
  return {
    pathSuffix,
    type: stored ? 'FILE' : 'DIRECTORY',
    length: stored?.bytes.length ?? 0,
    modificationTime: stored?.time ?? 0,
  };
}

function exception(status: number, name: string): Answer {
  return json({ RemoteException: { exception: name, message: name } }, status);
}
