import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ModelFetchError } from '../../src/errors.ts';
import { foldPath, safePath, showPath } from '../../src/plan/path.ts';

const accepted = [
  'model.bin',
  'a/b/c',
  '..foo',
  'foo..',
  '...',
  '....',
  'a..b',
  'a/..b/c',
  '.hidden',
  'with space',
  ' leading',
  'trailing.',
  '#',
  '?',
  'a?b=c&d#e',
  '100%',
  '%2e%2e',
  'a+b',
  'ab:c',
  "it's",
  '模型/веса/μοντέλο',
  'e\u0301',
  '😀',
  '~',
  '-rf',
  'CON',
  'data..',
  'x/..data',
  'x/.model-fetch',
  '.model-fetch2',
  'n'.repeat(255),
  'é'.repeat(127),
  Array(64).fill('d').join('/'),
];

const refused: readonly [string, RegExp][] = [
  ['', /empty/],
  ['/', /absolute/],
  ['/a', /absolute/],
  ['//a', /absolute/],
  ['..', /"\.\."/],
  ['../a', /"\.\."/],
  ['a/..', /"\.\."/],
  ['a/../b', /"\.\."/],
  ['.', /"\."/],
  ['a/.', /"\."/],
  ['a/./b', /"\."/],
  ['a//b', /empty component/],
  ['a/', /empty component/],
  ['a\\b', /backslash/],
  ['..\\b', /backslash/],
  ['C:', /drive/],
  ['c:/a', /drive/],
  ['c:a', /drive/],
  ['a\0b', /control/],
  ['a\nb', /control/],
  ['a\u001bb', /control/],
  ['a\u007fb', /control/],
  ['a\u0085b', /control/],
  ['a\u2028b', /control/],
  ['a\u202eb', /direction/],
  ['a\u2069b', /direction/],
  ['a\ud800b', /Unicode/],
  ['\udc00', /Unicode/],
  ['n'.repeat(256), /255/],
  ['é'.repeat(128), /255/],
  [Array(65).fill('d').join('/'), /64 folders/],
  [Array(60).fill('d'.repeat(70)).join('/'), /4096/],
  ['.model-fetch', /own files/],
  ['.model-fetch/x', /own files/],
  ['.MODEL-FETCH/x', /own files/],
  ['．model-fetch/x', /own files/],
  ['..data', /Kubernetes/],
  ['..data/x', /Kubernetes/],
  ['..data_tmp', /Kubernetes/],
  ['..2026_01_02_03_04_05.1/x', /Kubernetes/],
];

describe('safePath', () => {
  for (const path of accepted)
    it(`accepts ${showPath(path).slice(0, 40)}`, () => {
      assert.equal(safePath(path, 'entry'), path);
      assert.equal(safePath(path, 'member'), path);
    });

  for (const [path, reason] of refused)
    it(`refuses ${showPath(path).slice(0, 40)}`, () => {
      const is = (code: string) => (error: unknown) =>
        error instanceof ModelFetchError &&
        error.code === code &&
        reason.test(error.message) &&
        error.hint !== undefined;
      assert.throws(() => safePath(path, 'entry'), is('UNSAFE_PATH'));
      assert.throws(() => safePath(path, 'member'), is('UNSAFE_ARCHIVE'));
    });

  it('takes the leading ./ off members, and off nothing else', () => {
    assert.equal(safePath('./a/b', 'member'), 'a/b');
    assert.equal(safePath('././a', 'member'), 'a');
    assert.throws(() => safePath('./', 'member'), /empty/);
    assert.throws(() => safePath('./../a', 'member'), /"\.\."/);
    assert.throws(() => safePath('.//a', 'member'), /absolute/);
    assert.throws(() => safePath('./a', 'entry'), /"\."/);
  });

  it('says the path in a form that cannot disturb a terminal', () => {
    assert.throws(
      () => safePath('a\u202e\u001b[2J\n', 'entry'),
      (error: Error) =>
        !/[\u0000-\u001f\u202e]/.test(error.message) && error.message.includes('\\u202e'),
    );
  });

  it('answers only paths that stay below their root, and answers them again unchanged', () => {
    const component = fc.oneof(
      fc.constantFrom(
        '..',
        '.',
        '',
        'a',
        '...',
        '..a',
        '\\',
        'C:',
        '.model-fetch',
        '..data',
        '\0',
        '\ud800',
        './',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    const path = fc.array(component, { maxLength: 8 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(path, fc.constantFrom('entry' as const, 'member' as const), (input, what) => {
        let safe: string;
        try {
          safe = safePath(input, what);
        } catch (error) {
          assert.ok(error instanceof ModelFetchError);
          return;
        }
        // URL resolves dot segments by its own rules: an opinion that is not ours.
        const url = new URL(
          safe.split('/').map(encodeURIComponent).join('/'),
          'file:///root/of/it/',
        );
        assert.ok(
          url.pathname.startsWith('/root/of/it/') && url.pathname.length > '/root/of/it/'.length,
        );
        assert.equal(safePath(safe, what), safe);
        assert.equal(Buffer.from(safe).toString(), safe);
        assert.ok(!/[\\\0]|(^|\/)(\.{0,2})(\/|$)/.test(safe));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('foldPath', () => {
  it('is equal for names that some file system takes for the same', () => {
    for (const [one, other] of [
      ['W.bin', 'w.BIN'],
      ['\u00e9', 'e\u0301'],
      ['\u00c9', 'e\u0301'],
      ['straße', 'STRASSE'],
      ['ﬁle', 'file'],
      ['ΑΣ', 'ας'],
      ['ｗide', 'WIDE'],
    ] as const)
      assert.equal(foldPath(`d/${one}`), foldPath(`D/${other}`), `${one} and ${other}`);
  });

  it('is different for different names, and keeps every separator', () => {
    assert.notEqual(foldPath('a/b'), foldPath('a／b'));
    assert.notEqual(foldPath('a'), foldPath('á'));
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (path) => {
        assert.equal(foldPath(path).split('/').length, path.split('/').length);
        assert.equal(foldPath(foldPath(path)), foldPath(path));
      }),
    );
  });
});
