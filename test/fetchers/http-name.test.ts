import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileName } from '../../src/fetchers/http-name.ts';

test('the name comes from the server, a telling path, a telling query, any path, or nowhere', () => {
  const cases: [href: string, disposition: string | undefined, name: string][] = [
    ['https://h/a/model.onnx', undefined, 'model.onnx'],
    ['https://h/a/b%20c%23d%3Fe.bin', undefined, 'b c#d?e.bin'],
    ['https://h/gr%C3%B6%C3%9Fe-%E6%A8%A1%E5%9E%8B', undefined, 'größe-模型'],
    ['https://h/percent%2541.bin', undefined, 'percent%41.bin'],
    ['https://h/plus+sign.bin', undefined, 'plus+sign.bin'],
    ['https://h/bad%ZZ.bin', undefined, 'bad%ZZ.bin'],
    ['https://h/bad%FF.bin', undefined, 'bad%FF.bin'],
    ['https://h/model.tar.gz?X-Amz-Signature=abc', undefined, 'model.tar.gz'],
    ['https://h/download?path=/x/model.zip', undefined, 'model.zip'],
    ['https://h/download?id=4&file=m.joblib&v=2', undefined, 'm.joblib'],
    ['https://h/model.bin?file=other.zip', undefined, 'model.bin'],
    ['https://h/download?id=4', undefined, 'download'],
    ['https://h/', undefined, 'model'],
    ['https://h', undefined, 'model'],
    ['https://h/dir/', undefined, 'model'],
    ['https://h/download?id=4', 'attachment; filename="real name.bin"', 'real name.bin'],
    ['https://h/x.bin', 'inline; filename="y.bin"', 'y.bin'],
    ['https://h/x.bin', 'attachment', 'x.bin'],
  ];
  for (const [href, disposition, name] of cases)
    assert.equal(fileName(new URL(href), disposition), name, `${href} ${disposition}`);
});

test('a name never leads anywhere else', () => {
  const cases: [disposition: string, name: string][] = [
    ['attachment; filename="../../etc/passwd"', 'passwd'],
    ['attachment; filename="/abs/x.bin"', 'x.bin'],
    ['attachment; filename="C:\\\\dir\\\\x.bin"', 'x.bin'],
    [`attachment; filename*=UTF-8''..%2F..%2Fx.bin`, 'x.bin'],
    [`attachment; filename*=UTF-8''..%5Cx.bin`, 'x.bin'],
    [`attachment; filename*=UTF-8''a%00b%0A.bin`, 'ab.bin'],
    ['attachment; filename=".."', 'fallback.bin'],
    ['attachment; filename="."', 'fallback.bin'],
    ['attachment; filename="dir/"', 'fallback.bin'],
    ['attachment; filename="   "', 'fallback.bin'],
    [`attachment; filename="${'x'.repeat(256)}"`, 'fallback.bin'],
  ];
  for (const [disposition, name] of cases)
    assert.equal(fileName(new URL('https://h/fallback.bin'), disposition), name, disposition);
  assert.equal(fileName(new URL('https://h/a%2Fb.bin'), undefined), 'b.bin');
  assert.equal(fileName(new URL('https://h/..%2F..'), undefined), 'model');
  assert.equal(fileName(new URL('https://h/a?f=../../evil.zip'), undefined), 'evil.zip');
});
