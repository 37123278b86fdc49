import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createRegistry } from '../src/create-registry.ts';
import { ModelFetchError } from '../src/errors.ts';
import type { Resolver } from '../src/fetcher.ts';
import { parseRef } from '../src/ref.ts';
import { ResolverRegistry, type Env, type Registration } from '../src/registry.ts';

const nothing: Resolver = { resolve: () => Promise.reject(new Error('not asked')) };

function registration(name: string, more: Partial<Registration> = {}): Registration {
  return {
    name,
    schemes: [name],
    form: `${name}://`,
    load: () => Promise.resolve(nothing),
    ...more,
  };
}

const found = (registry: ResolverRegistry, uri: string) => registry.find(parseRef(uri)).name;

suite('the registry', () => {
  test('finds who answers for a scheme', () => {
    const registry = new ResolverRegistry(
      [registration('aa', { schemes: ['aa', 'a2'] }), registration('bb')],
      {},
    );
    assert.equal(found(registry, 'a2://x'), 'aa');
    assert.equal(found(registry, 'BB://x'), 'bb');
  });

  test('lets the last registration have a scheme', () => {
    const registry = new ResolverRegistry([registration('aa'), registration('bb')], {});
    registry.register(registration('mine', { schemes: ['aa'] }));
    assert.equal(found(registry, 'aa://x'), 'mine');
    assert.deepEqual(
      registry.registrations.map(({ name }) => name),
      ['bb', 'mine'],
    );
  });

  test('lets a claim come before a scheme, and the last claim before the others', () => {
    const claim = (name: string, host: string) =>
      registration(name, { schemes: [], claims: (ref) => ref.authority.endsWith(host) });
    const registry = new ResolverRegistry(
      [claim('blob', '.blob.example'), registration('https'), claim('mine', 'mine.blob.example')],
      {},
    );
    assert.equal(found(registry, 'https://host/m'), 'https');
    assert.equal(found(registry, 'https://a.blob.example/m'), 'blob');
    assert.equal(found(registry, 'https://mine.blob.example/m'), 'mine');
  });

  test('says which schemes there are, and which was probably meant', () => {
    const refusal = (uri: string) => {
      try {
        createRegistry().find(parseRef(uri));
      } catch (error) {
        assert.ok(error instanceof ModelFetchError);
        assert.equal(error.code, 'UNSUPPORTED_SCHEME');
        assert.equal(error.exitStatus, 17);
        return error.hint ?? '';
      }
      return assert.fail(`${uri} was found`);
    };
    assert.match(
      refusal('htps://host/m'),
      /^Did you mean https:\/\/\? There are .*file.*https.*s3/,
    );
    assert.match(refusal('gcs://bucket/m'), /^Did you mean gs:\/\//);
    assert.match(refusal('completely-else://x'), /^There are/);
  });

  test('loads a scheme when it is first needed, once, even when asked twice at the same time', async () => {
    const seen: Env[] = [];
    const env = { KEY: 'value' };
    const load = async (given: Env) => {
      seen.push(given);
      await new Promise(setImmediate);
      return nothing;
    };
    const registry = new ResolverRegistry(
      [registration('aa', { schemes: ['aa', 'a2'], load })],
      env,
    );
    registry.find(parseRef('aa://x'));
    assert.equal(seen.length, 0);
    const [one, two] = await Promise.all([
      registry.resolver('aa://x'),
      registry.resolver('a2://y'),
    ]);
    assert.equal(one.resolver, two.resolver);
    assert.equal(two.ref.path, '');
    assert.deepEqual(seen, [env]);
  });

  test('refuses what is not a scheme', () => {
    for (const scheme of ['S3', '3s', 's3://', 'a_b', ''])
      assert.throws(
        () => new ResolverRegistry([registration('x', { schemes: [scheme] })], {}),
        (error: ModelFetchError) => error.code === 'INVALID_OPTION',
        scheme,
      );
  });

  test('is an object of its own each time: nothing is registered by import', () => {
    const one = createRegistry();
    one.register(registration('mine'));
    assert.ok(one.schemes.includes('mine'));
    assert.ok(!createRegistry().schemes.includes('mine'));
  });

  test('has the built-in schemes', () => {
    assert.deepEqual(
      ['file', 'pvc', 'http', 'https', 's3', 'gs'].filter(
        (one) => !createRegistry().schemes.includes(one),
      ),
      [],
    );
  });
});
