/** Where bytes are may change while they are read: signatures expire, tokens end, redirects lead elsewhere. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { ModelFetchError, ResolverRegistry, fetchModel } from '../../src/index.ts';
import type { FailedLocation, Fetcher, HttpLocation } from '../../src/fetcher.ts';
import type { FetchOptions } from '../../src/options.ts';
import type { HttpServer } from '../servers/http.ts';
import { bodyGets, fails, httpScene, KEEP, large, treeFrom, treeOf } from '../publish/scene.ts';

const MIB = 1024 * 1024;
const BYTES = large(64 * MIB);

interface Tokens {
  /** The one the server takes. */
  valid: number;
  located: (FailedLocation | undefined)[];
}

/** A file behind a token that `locate` hands out; `expiresIn` milliseconds, where the location says so. */
async function behindTokens(
  t: TestContext,
  more: { bytes?: Buffer; expiresIn?: number; locate?: Fetcher['locate'] } = {},
): Promise<{ http: HttpServer; dest: string; tokens: Tokens; options: FetchOptions }> {
  const { http, dest } = await httpScene(t);
  const { bytes = BYTES } = more;
  const tokens: Tokens = { valid: 1, located: [] };
  const url = http.put('/big', bytes, {
    allow: ({ headers }: IncomingMessage) => headers.authorization === `token ${tokens.valid}`,
  });
  const fetcher: Fetcher = {
    uri: 'test://x',
    async *list() {
      yield { path: 'big', size: bytes.length, version: '1' };
    },
    locate: async (entry, options) => {
      tokens.located.push(options?.failed);
      await new Promise((resolve) => setTimeout(resolve, 30));
      if (more.locate) return more.locate(entry, options);
      const location: HttpLocation = {
        kind: 'http',
        url,
        headers: { authorization: `token ${tokens.valid}` },
        ...(more.expiresIn !== undefined && { expiresAt: Date.now() + more.expiresIn }),
      };
      return location;
    },
  };
  const registry = new ResolverRegistry([], {}).register({
    name: 'test',
    schemes: ['test'],
    form: 'test://',
    load: async () => ({ resolve: async () => fetcher }),
  });
  return { http, dest, tokens, options: { ...KEEP, registry } };
}

describe('a location', () => {
  test('that is refused is asked for again once, however many ranges fail together', async (t) => {
    const { http, dest, tokens, options } = await behindTokens(t);
    let seen = 0;
    http.faults.push({
      kind: 'status',
      status: 500,
      times: 1,
      on: () => {
        // The token ends when a few ranges have been answered; the others are refused together.
        if (++seen === 3) tokens.valid = 2;
        return false;
      },
    });
    await fetchModel('test://x', dest, options);
    assert.deepEqual(treeOf(dest), treeFrom({ big: BYTES }));
    assert.equal(tokens.located.length, 2);
    const { status, body } = tokens.located[1]!;
    assert.equal(status, 403);
    assert.equal(body, 'not for you\n');
    assert.ok(bodyGets(http).filter(({ status: answer }) => answer === 403).length >= 4);
  });

  test('is asked for again as often as it works in between', async (t) => {
    const { http, dest, tokens, options } = await behindTokens(t);
    let seen = 0;
    http.faults.push({
      kind: 'status',
      status: 500,
      times: 1,
      on: ({ headers }) => {
        if (headers['authorization'] === `token ${tokens.valid}` && ++seen % 2 === 0)
          tokens.valid++;
        return false;
      },
    });
    await fetchModel('test://x', dest, { ...options, concurrency: 2 });
    assert.deepEqual(treeOf(dest), treeFrom({ big: BYTES }));
    assert.ok(tokens.located.length >= 5, String(tokens.located.length));
  });

  test('that is refused again and again is given up, with what the server said', async (t) => {
    const { dest, tokens, options } = await behindTokens(t);
    tokens.valid = 1;
    const { http: other } = await httpScene(t);
    const url = other.put('/never', BYTES, { allow: () => false });
    const wrong = await behindTokens(t, {
      locate: async () => ({ kind: 'http', url, headers: { authorization: 'x' } }),
    });
    const error = await fails(
      fetchModel('test://x', dest, wrong.options),
      'PERMISSION_DENIED',
      /keeps answering 403/,
    );
    assert.equal(error.exitStatus, 11);
    assert.ok(wrong.tokens.located.length <= 5, String(wrong.tokens.located.length));
    assert.equal(existsSync(dest), false);
    assert.ok(options.registry);
  });

  test('whose renewal is refused with an error of the fetcher ends with that error', async (t) => {
    const typed = new ModelFetchError('UNAUTHENTICATED', 'the session is over');
    const { http } = await httpScene(t);
    const url = http.put('/never', BYTES, { allow: () => false });
    const { dest, options } = await behindTokens(t, {
      locate: async (_, call) => {
        if (call?.failed) throw typed;
        return { kind: 'http', url, headers: {} };
      },
    });
    const error = await fails(fetchModel('test://x', dest, options), 'UNAUTHENTICATED');
    assert.match(error.message, /session is over/);
    assert.equal(existsSync(dest), false);
  });

  test('is renewed before it expires, and not before', async (t) => {
    const long = await behindTokens(t, { expiresIn: 3_600_000 });
    await fetchModel('test://x', long.dest, long.options);
    assert.equal(long.tokens.located.length, 1);
    const short = await behindTokens(t, { expiresIn: 30_000 });
    await fetchModel('test://x', short.dest, { ...short.options, concurrency: 1 });
    assert.ok(short.tokens.located.length >= 4);
    assert.deepEqual(treeOf(short.dest), treeFrom({ big: BYTES }));
  });
});
