import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { dot, makeFixtures, modelFiles } from '../fixtures/make.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');

test('the fixtures are what fixtures/make.ts makes', async () => {
  const made = await mkdtemp(join(tmpdir(), 'model-fetch-fixtures-'));
  try {
    await makeFixtures(made);
    for (const path of Object.keys(modelFiles()))
      assert.deepEqual(
        await readFile(join(FIXTURES, 'models', 'iris', path)),
        await readFile(join(made, 'models', 'iris', path)),
        path,
      );
    // Unpacked: the compressed bytes are zlib's choice, and change with its version.
    const archive = async (folder: string) =>
      gunzipSync(await readFile(join(folder, 'archives', 'iris.tar.gz')));
    assert.deepEqual(await archive(FIXTURES), await archive(made));
  } finally {
    await rm(made, { recursive: true });
  }
});

test('the model is a real one: it knows the flowers', async () => {
  const file = await readFile(join(FIXTURES, 'models', 'iris', 'model.safetensors'));
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start)) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const tensor = (name: string) => {
    const [from, to] = header[name]!.data_offsets;
    return Array.from({ length: (to - from) / 4 }, (_, i) =>
      file.readFloatLE(start + from + i * 4),
    );
  };
  const weight = tensor('linear.weight');
  const bias = tensor('linear.bias');
  const classify = (flower: number[]) => {
    const scores = bias.map((b, label) => b + dot(flower, weight.slice(label * 4, label * 4 + 4)));
    return scores.indexOf(Math.max(...scores));
  };
  assert.equal(classify([5.1, 3.5, 1.4, 0.2]), 0);
  assert.equal(classify([5.9, 2.8, 4.3, 1.3]), 1);
  assert.equal(classify([6.5, 3.0, 5.6, 2.1]), 2);
});
