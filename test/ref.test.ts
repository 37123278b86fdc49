import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { ModelFetchError } from '../src/errors.ts';
import { parseRef, type Ref } from '../src/ref.ts';

type Row = { uri: string; why?: string } & (
  { ref: Omit<Ref, 'raw'>; error?: never } | { error: string; ref?: never }
);

const table = JSON.parse(
  readFileSync(new URL('../fixtures/uris.json', import.meta.url), 'utf8'),
) as Row[];

suite('parseRef', () => {
  for (const { uri, ref, error, why } of table)
    test(`${ref ? 'takes' : 'refuses'} ${JSON.stringify(uri)}${why ? `: ${why}` : ''}`, () => {
      if (ref) assert.deepEqual(parseRef(uri), { raw: uri, ...ref });
      else
        assert.throws(
          () => parseRef(uri),
          (thrown) =>
            thrown instanceof ModelFetchError && thrown.code === error && thrown.hint !== undefined,
        );
    });

  test('loses nothing: the parts make up the URI again', () => {
    const part = fc.stringMatching(/^[ -~]*$/);
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z][a-z0-9+.-]+$/),
        part,
        part,
        (scheme, authority, path) => {
          const uri = `${scheme}://${authority.replaceAll('/', '')}/${path}`;
          const ref = parseRef(uri);
          assert.equal(`${ref.scheme}://${ref.authority}${ref.path}`, uri);
          assert.ok(!ref.authority.includes('/'));
        },
      ),
    );
  });

  test('either takes a text apart or says INVALID_URI', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (uri) => {
        try {
          assert.equal(parseRef(uri).raw, uri);
        } catch (error) {
          assert.ok(error instanceof ModelFetchError, String(error));
          assert.equal(error.code, 'INVALID_URI');
        }
      }),
    );
  });

  test('does not repeat a secret of a URI it refuses', () => {
    assert.throws(
      () => parseRef('3s://user:canary@host/m?token=canary'),
      (error: Error) => !error.message.includes('canary'),
    );
  });
});
