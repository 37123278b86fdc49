import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { MANIFESTS } from './manifests.ts';
import { parseYaml } from './yaml.ts';

suite('the YAML of deploy/', () => {
  test('is read with blocks, flows, anchors and literal texts', () => {
    const text = [
      '# comment',
      'a: { b: 1, c: ["x: y", d] } # comment',
      'list:',
      "  - name: 'first'",
      '    context: &one',
      '      on: true',
      '  # comment',
      '  - name: second',
      '    context: *one',
      '    args: [s3://a/b, "/mnt", --timeout, 2h]',
      'same:',
      '- https?://(.+)',
      'text: |-',
      '  {',
      '    "a": 1 # no comment',
      '  }',
      'none:',
    ].join('\n');
    assert.deepEqual(parseYaml(text), {
      a: { b: 1, c: ['x: y', 'd'] },
      list: [
        { name: 'first', context: { on: true } },
        { name: 'second', context: { on: true }, args: ['s3://a/b', '/mnt', '--timeout', '2h'] },
      ],
      same: ['https?://(.+)'],
      text: '{\n  "a": 1 # no comment\n}',
      none: null,
    });
  });

  for (const { file, text } of MANIFESTS)
    test(`${file} can be read`, () => {
      assert.equal(typeof parseYaml(text), 'object');
    });

  test('is not guessed at', () => {
    for (const text of ['a: [b', 'a: *nowhere', 'a: b\n   c: d', 'just words'])
      assert.throws(() => parseYaml(text), Error, text);
  });
});
