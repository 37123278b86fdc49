import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Iris } from '../models/Iris.ts';
import { post, startModel, type Started } from './start.ts';

const MODELS = fileURLToPath(new URL('../../../fixtures/models/iris-onnx', import.meta.url));
const LIBRARY = fileURLToPath(
  new URL('../node_modules/model-fetch/dist/index.js', import.meta.url),
);
const folder = mkdtempSync(join(tmpdir(), 'skeleton-iris-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Reference {
  readonly x: number[][];
  readonly probabilities: number[][];
  readonly tolerance: number;
}

const referenceOf = (directory: string) =>
  JSON.parse(readFileSync(join(directory, 'reference.json'), 'utf8')) as Reference;
const parametersOf = (uri: string) => ({
  PREDICTIVE_UNIT_PARAMETERS: JSON.stringify([
    { name: 'model_uri', value: uri, type: 'STRING' },
    { name: 'threads', value: '1', type: 'INT' },
  ]),
});

async function checkAgainstReference({ url }: Started, directory: string): Promise<void> {
  const { x, probabilities, tolerance } = referenceOf(directory);
  const { status, body } = await post(`${url}/predict`, { data: { ndarray: x } });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(body['data'].names, ['setosa', 'versicolor', 'virginica']);
  assertClose(body['data'].ndarray.flat(), probabilities.flat(), tolerance);
  const input = { name: 'X', shape: [x.length, 4], datatype: 'FP32', data: x };
  const v2 = await post(`${url}/v2/models/Model/infer`, { inputs: [input] });
  assert.equal(v2.status, 200, JSON.stringify(v2.body));
  assertClose(v2.body['outputs'][0].data, probabilities.flat(), tolerance);
}

function assertClose(got: number[], expected: number[], tolerance: number): void {
  assert.equal(got.length, expected.length);
  const worst = Math.max(...got.map((value, i) => Math.abs(value - expected[i]!)));
  assert.ok(worst <= tolerance, `off by ${worst}`);
}

suite('iris, an ONNX model', () => {
  for (const version of ['1', '2'])
    test(`version ${version} predicts from a mounted directory what scikit-learn predicted`, async () => {
      const server = await startModel(Iris, parametersOf(join(MODELS, version)));
      try {
        await checkAgainstReference(server, join(MODELS, version));
      } finally {
        await server.close();
      }
    });

  test('without a model_uri it serves its own files', async () => {
    const server = await startModel(Iris);
    try {
      await checkAgainstReference(server, join(MODELS, '1'));
      const { status, body } = await post(`${server.url}/predict`, { data: { ndarray: [[1, 2]] } });
      assert.equal(status, 400);
      assert.match(body['status'].info, /an iris is 4 numbers/);
    } finally {
      await server.close();
    }
  });

  const skip = existsSync(LIBRARY) ? false : `model-fetch is not built: there is no ${LIBRARY}`;
  test('a URI is fetched before load()', { skip }, async () => {
    const archive = join(folder, 'iris.tar');
    execFileSync('tar', ['-cf', archive, '-C', join(MODELS, '2'), '.']);
    const origin = createServer((_request, response) => createReadStream(archive).pipe(response));
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const uri = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/iris.tar`;
    const store = join(folder, 'store');
    try {
      const server = await startModel(Iris, { ...parametersOf(uri), MODEL_STORE: store });
      try {
        assert.ok(existsSync(join(store, '.model-fetch', 'manifest.jsonl')));
        await checkAgainstReference(server, join(MODELS, '2'));
      } finally {
        await server.close();
      }
    } finally {
      origin.close();
    }
  });

  test(
    'a URI that cannot be fetched stops the server, with the reason of the library',
    { skip },
    async () => {
      const env = { ...parametersOf('nonsense://x/y'), MODEL_STORE: join(folder, 'nothing') };
      await assert.rejects(startModel(Iris, env), {
        name: 'ModelFetchError',
        code: 'UNSUPPORTED_SCHEME',
      });
    },
  );
});
