import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import plugin, { list } from '../../examples/plugin/list.ts';
import { createHttpClient } from '../../src/http/client.ts';
import {
  createRegistry,
  parseRef,
  type ModelFetchError,
  type ResolveContext,
} from '../../src/index.ts';
import { createNetwork } from '../../src/net/create-network.ts';
import { testResolver, type Files, type Harness } from '../../src/testing/index.ts';
import { bytesOrPart, serve, type Served } from '../fakes/serve.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

interface Site extends Served {
  readonly files: Map<string, Uint8Array>;
}

/** A static web server: what is in `files`, by decoded path; `/private` wants a login. */
async function startSite(): Promise<Site> {
  const files = new Map<string, Uint8Array>();
  const served = await serve((asked) => {
    if (asked.url.pathname.startsWith('/private')) return { status: 401 };
    const bytes = files.get(decodeURIComponent(asked.url.pathname));
    if (!bytes) return { status: 404 };
    const etag = `"${sha256(bytes).slice(0, 16)}"`;
    const wanted = asked.headers['if-match'];
    if (wanted !== undefined && wanted !== etag) return { status: 412 };
    return bytesOrPart(asked, bytes, { etag });
  });
  return { ...served, files };
}

function publish(site: Site, folder: string, files: Files): void {
  for (const path of site.files.keys()) if (path.startsWith(folder)) site.files.delete(path);
  const lines = Object.entries(files).map(([path, bytes]) => {
    site.files.set(folder + path, bytes);
    return `${sha256(bytes)}  ${path}\n`;
  });
  site.files.set(`${folder}SHA256SUMS`, Buffer.from(lines.join('')));
}

async function makeHarness(): Promise<Harness> {
  const site = await startSite();
  const base = `list+${site.origin}`;
  return {
    resolver: list(),
    uri: `${base}/m/SHA256SUMS`,
    put: async (files) => publish(site, '/m/', files),
    single: async (name, bytes) => {
      publish(site, '/single/', { [name]: bytes });
      return `${base}/single/SHA256SUMS`;
    },
    missingUri: `${base}/nothing/SHA256SUMS`,
    denied: { uri: `${base}/private/SHA256SUMS` },
    twoPages: 30,
    hang: async () => site.hang(),
    close: () => site.close(),
  };
}

testResolver('list+https', makeHarness, {
  except: {
    'does not take neighbours whose names begin like the model': 'a list names its files in full',
    'lists the whole of the root': 'a web server has no listing',
  },
});

suite('the example of a plugin', () => {
  test('is one object and one call', async () => {
    const registry = createRegistry().register(plugin);
    const { registration } = await registry.resolver('list+https://host/SHA256SUMS');
    assert.equal(registration.name, 'list');
  });

  test('takes full URLs, binary marks, comments and leading dots', async () => {
    const site = await startSite();
    try {
      const bytes = Buffer.from('weights');
      site.files.set('/elsewhere/big model.bin', bytes);
      site.files.set('/m/a/b.txt', bytes);
      const sum = sha256(bytes);
      const text = `# ours\n${sum.toUpperCase()} *${site.origin}/elsewhere/big%20model.bin\n\n${sum}  ./a/b.txt\r\n`;
      site.files.set('/m/SUMS', Buffer.from(text));
      assert.deepEqual(await pathsOf(site, '/m/SUMS'), ['big model.bin', 'a/b.txt']);
    } finally {
      await site.close();
    }
  });

  test('says which line it cannot read, and takes no credentials in the URI', async () => {
    const site = await startSite();
    try {
      site.files.set('/m/SUMS', Buffer.from('# fine\nnot a digest  a.bin\n'));
      await assert.rejects(pathsOf(site, '/m/SUMS'), (error: ModelFetchError) => {
        assert.equal(error.code, 'BAD_RESPONSE');
        assert.match(error.message, /line 2/);
        return true;
      });
      const withLogin = site.origin.replace('//', '//user:canary@');
      await assert.rejects(
        pathsOf({ ...site, origin: withLogin }, '/m/SUMS'),
        (error: ModelFetchError) => error.code === 'INVALID_URI' && !error.uri?.includes('canary'),
      );
    } finally {
      await site.close();
    }
  });
});

async function pathsOf(site: Site, path: string): Promise<string[]> {
  const network = createNetwork({ env: {}, policy: 'default' });
  const signal = new AbortController().signal;
  try {
    const context = { signal, http: createHttpClient({ network }) } as unknown as ResolveContext;
    const fetcher = await list().resolve(parseRef(`list+${site.origin}${path}`), context);
    return (await Array.fromAsync(fetcher.list())).map((entry) => entry.path);
  } finally {
    network.close();
  }
}
