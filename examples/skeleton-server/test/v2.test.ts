import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { SeldonResponse, Tensor } from '../src/index.ts';
import { post, startModel, type Started } from './start.ts';

const seen: unknown[] = [];

class Both {
  predict(x: unknown, names: string[], meta: object): unknown {
    seen.splice(0, seen.length, x, names, meta);
    return new SeldonResponse(x, { tag: 't' });
  }
  initMetadata(): object {
    return {
      versions: ['3'],
      platform: 'test',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }, { messagetype: 'ndarray' }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
    };
  }
}

const input = { name: 'x', shape: [2, 2], datatype: 'FP32', data: [1, 2, 3, 4.5] };

suite('Open Inference', () => {
  let server: Started;
  let model: string;
  before(async () => {
    server = await startModel(Both, { PREDICTIVE_UNIT_ID: 'both' });
    model = `${server.url}/v2/models/both`;
  });
  after(() => server.close());
  const get = async (path: string): Promise<[number, unknown]> => {
    const response = await fetch(server.url + path);
    return [response.status, await response.json()];
  };

  test('the server, its health and its model describe themselves', async () => {
    const [status, about] = await get('/v2');
    assert.equal(status, 200);
    assert.deepEqual((about as { extensions: string[] }).extensions, ['binary_tensor_data']);
    assert.deepEqual(await get('/v2/health/live'), [200, { live: true }]);
    assert.deepEqual(await get('/v2/health/ready'), [200, { ready: true }]);
    assert.deepEqual(await get('/v2/models/both/versions/3/ready'), [
      200,
      { name: 'both', ready: true },
    ]);
    assert.deepEqual(await get('/v2/models/both'), [
      200,
      {
        name: 'both',
        versions: ['3'],
        platform: 'test',
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
      },
    ]);
  });

  test('one input is an array, and the answer has its shape', async () => {
    const { status, body } = await post(`${model}/infer`, { id: 'i', inputs: [input] });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(seen, [
      [
        [1, 2],
        [3, 4.5],
      ],
      [],
      { puid: 'i', parameters: {} },
    ]);
    assert.deepEqual(body, {
      model_name: 'both',
      model_version: '3',
      id: 'i',
      parameters: { tag: 't' },
      outputs: [{ name: 'y', shape: [2, 2], datatype: 'FP32', data: [1, 2, 3, 4.5] }],
    });
  });

  test('several inputs are an object, and several outputs come back', async () => {
    const names = { name: 'n', shape: [2], datatype: 'BYTES', data: ['é', 'b'] };
    const flags = { name: 'f', shape: [1, 2], datatype: 'BOOL', data: [[true, false]] };
    const { body } = await post(`${model}/infer`, { inputs: [names, flags] });
    assert.deepEqual(seen.slice(0, 2), [{ n: ['é', 'b'], f: [[true, false]] }, ['n', 'f']]);
    assert.deepEqual(body['outputs'], [
      { name: 'n', shape: [2], datatype: 'BYTES', data: ['é', 'b'] },
      { name: 'f', shape: [1, 2], datatype: 'BOOL', data: [true, false] },
    ]);
  });

  test('tensors may be bytes, both ways', async () => {
    const rows = Float32Array.of(1, 2, 3, 4.5);
    const text = Buffer.concat([Buffer.of(2, 0, 0, 0), Buffer.from('é'), Buffer.of(0, 0, 0, 0)]);
    const request = {
      parameters: { binary_data_output: true },
      inputs: [
        { name: 'n', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: text.length } },
        { name: 'big', shape: [1], datatype: 'INT64', data: [5] },
        { name: 'y', shape: [2, 2], datatype: 'FP32', parameters: { binary_data_size: 16 } },
      ],
      outputs: [{ name: 'y' }, { name: 'big', parameters: { binary_data: false } }, { name: 'n' }],
    };
    const { head, rest } = await sendBinary(`${model}/infer`, request, [
      text,
      Buffer.from(rows.buffer),
    ]);
    assert.deepEqual(seen[0], {
      n: ['é', ''],
      big: [5],
      y: [
        [1, 2],
        [3, 4.5],
      ],
    });
    assert.deepEqual(head['outputs'], [
      { name: 'y', shape: [2, 2], datatype: 'FP32', parameters: { binary_data_size: 16 } },
      { name: 'big', shape: [1], datatype: 'INT64', data: [5] },
      { name: 'n', shape: [2], datatype: 'BYTES', parameters: { binary_data_size: text.length } },
    ]);
    assert.deepEqual(rest, Buffer.concat([Buffer.from(rows.buffer), text]));
  });

  test('every datatype survives the way there and back', async () => {
    const arrays = {
      UINT8: Uint8Array.of(0, 255),
      UINT16: Uint16Array.of(1, 65535),
      UINT32: Uint32Array.of(1, 2 ** 32 - 1),
      UINT64: BigUint64Array.of(1n, 2n ** 64n - 1n),
      INT8: Int8Array.of(-128, 127),
      INT16: Int16Array.of(-32768, 1),
      INT32: Int32Array.of(-(2 ** 31), 1),
      INT64: BigInt64Array.of(-(2n ** 63n), 9007199254740993n),
      FP16: Float16Array.of(0.5, -65504),
      FP64: Float64Array.of(Math.PI, NaN),
      BOOL: Uint8Array.of(1, 0),
    };
    for (const [datatype, array] of Object.entries(arrays)) {
      const bytes = Buffer.from(array.buffer);
      const own = await startModel(
        class {
          predict = (x: unknown) => ({ o: x });
          initMetadata = () => ({ outputs: [{ name: 'o', datatype }] });
        },
      );
      try {
        const { rest } = await sendBinary(
          `${own.url}/v2/models/Model/infer`,
          {
            parameters: { binary_data_output: true },
            inputs: [
              { name: 'i', shape: [2], datatype, parameters: { binary_data_size: bytes.length } },
            ],
          },
          [bytes],
        );
        assert.deepEqual(rest, bytes, datatype);
      } finally {
        await own.close();
      }
    }
  });

  const wrong: Record<string, unknown> = {
    'no inputs': {},
    'a shape that does not fit': { inputs: [{ ...input, shape: [3] }] },
    'an unknown datatype': { inputs: [{ ...input, datatype: 'FP8' }] },
    'a value of another type': { inputs: [{ ...input, data: [1, 2, 3, 'x'] }] },
    'bytes that are not there': { inputs: [{ ...input, parameters: { binary_data_size: 16 } }] },
    'an output that is not there': { inputs: [input], outputs: [{ name: 'nothing' }] },
    'no JSON': 'nonsense',
  };
  for (const [what, request] of Object.entries(wrong))
    test(`${what}: 400, in the words of the protocol`, async () => {
      const { status, body } = await post(`${model}/infer`, request);
      assert.equal(status, 400);
      assert.deepEqual(Object.keys(body), ['error']);
    });

  test('another model, version or path: 404', async () => {
    for (const path of ['/v2/models/other', '/v2/models/both/versions/4', '/v2/nothing']) {
      const [status, body] = await get(path);
      assert.equal(status, 404, path);
      assert.deepEqual(Object.keys(body as object), ['error']);
    }
  });
});

test('a tensor goes out as it is; what is not a number is null in JSON', async () => {
  const model = class {
    predict(): Tensor {
      return new Tensor([1, 2], Float32Array.of(NaN, 0.5));
    }
  };
  const server = await startModel(model);
  try {
    const { body } = await post(`${server.url}/v2/models/Model/infer`, { inputs: [input] });
    assert.deepEqual(body['outputs'], [
      { name: 'output-0', shape: [1, 2], datatype: 'FP32', data: [null, 0.5] },
    ]);
  } finally {
    await server.close();
  }
});

async function sendBinary(
  url: string,
  request: object,
  tensors: readonly Buffer[],
): Promise<{ head: Record<string, any>; rest: Buffer }> {
  const json = Buffer.from(JSON.stringify(request));
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(json.length),
    },
    body: Buffer.concat([json, ...tensors]),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.equal(response.status, 200, bytes.toString());
  assert.equal(response.headers.get('content-type'), 'application/octet-stream');
  const length = Number(response.headers.get('inference-header-content-length'));
  return { head: JSON.parse(bytes.toString('utf8', 0, length)), rest: bytes.subarray(length) };
}
