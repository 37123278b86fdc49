import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dispositionName } from '../../src/http/content-disposition.ts';

test('names are read as RFC 6266 and RFC 8187 write them', () => {
  const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
  const cases: [string | undefined, string | undefined][] = [
    ['attachment; filename="model.onnx"', 'model.onnx'],
    ['attachment; filename=model.onnx', 'model.onnx'],
    ['ATTACHMENT ; FileName = "a b.bin" ; size=3', 'a b.bin'],
    [`inline; filename*=UTF-8''gr%C3%B6%C3%9Fe.bin; filename="x.bin"`, 'größe.bin'],
    [`attachment; filename="x.bin"; filename*=utf-8'de'%E6%A8%A1%E5%9E%8B.bin`, '模型.bin'],
    [`attachment; filename*=ISO-8859-1''na%EFve.bin`, 'naïve.bin'],
    [`attachment; filename*=KOI8-R''x; filename=y.bin`, 'y.bin'],
    ['attachment; filename="semi;colon \\"quoted\\".bin"', 'semi;colon "quoted".bin'],
    [`attachment; filename="${latin1('größe.bin')}"`, 'größe.bin'],
    ['attachment; filename="na\u00efve.bin"', 'naïve.bin'],
    ['attachment; filename=""', undefined],
    ['attachment; xfilename="no"', undefined],
    ['attachment', undefined],
    [undefined, undefined],
  ];
  for (const [value, name] of cases) assert.equal(dispositionName(value), name, String(value));
});
