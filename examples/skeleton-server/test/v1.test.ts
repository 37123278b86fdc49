import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { MicroserviceError, SeldonNotImplementedError, Tensor } from '../src/index.ts';
import { post, startModel, type Started } from './start.ts';
import { classes } from './vector-models.ts';

const UNIT = { PREDICTIVE_UNIT_ID: 'model', PREDICTIVE_UNIT_IMAGE: 'host:5000/iris:v2' };

suite('a model that answers what it was asked', () => {
  let echo: Started;
  before(async () => void (echo = await startModel(classes.echo, UNIT)));
  after(() => echo.close());
  const ask = (body: unknown) => post(`${echo.url}/predict`, body);
  const ndarray = async (list: string) =>
    (await (await fetch(`${echo.url}/predict`, json(`{"data":{"ndarray":${list}}}`))).text()).match(
      /"ndarray":(.*?)\},"meta"/,
    )?.[1];

  test('numbers beside strings become strings as Python writes them', async () => {
    assert.equal(await ndarray('[["a",1,1.0,1e-7,true]]'), '[["a","1","1.0","1e-07","True"]]');
  });
  test('booleans beside numbers become numbers', async () => {
    assert.equal(await ndarray('[1,true,false]'), '[1,1,0]');
  });
  test('integers beyond 2^53 stay whole', async () => {
    assert.equal(
      await ndarray('[[9007199254740993,-9223372036854775808]]'),
      '[[9007199254740993,-9223372036854775808]]',
    );
  });
  test('NaN and infinities may be sent as Python sends them', async () => {
    assert.equal(await ndarray('[NaN,-Infinity,1]'), '[NaN,-Infinity,1]');
  });
  test('an ndarray of other than numbers stays what it is', async () => {
    assert.equal(await ndarray('[{"NaN":"Infinity"},null]'), '[{"NaN":"Infinity"},null]');
  });
  test('the path of a request is kept, and wins over what is added', async () => {
    const { body } = await ask({
      strData: 'x',
      meta: { requestPath: { a: 'b:1', model: 'mine' } },
    });
    assert.deepEqual(body['meta'], { requestPath: { a: 'b:1', model: 'mine' } });
  });
  test('a tensor that does not fit its shape is an error of the server', async () => {
    const { status, body } = await ask({ data: { tensor: { shape: [2, 2], values: [1, 2, 3] } } });
    assert.equal(status, 500);
    assert.equal(body['status'].reason, 'MICROSERVICE_INTERNAL_ERROR');
  });
  test('a tensor may leave one length open', async () => {
    const { body } = await ask({ data: { tensor: { shape: [-1, 2], values: [1, 2, 3, 4] } } });
    assert.deepEqual(body['data'].tensor, { shape: [2, 2], values: [1, 2, 3, 4] });
  });
  test('a query may carry the message', async () => {
    const query = encodeURIComponent('{"strData":"q"}');
    const response = await fetch(`${echo.url}/predict?json=${query}`);
    assert.equal(((await response.json()) as { strData: string }).strData, 'q');
  });
  test('JSON that does not call itself JSON is not found', async () => {
    const response = await fetch(`${echo.url}/predict`, {
      method: 'POST',
      body: '{"strData":"x"}',
    });
    assert.equal(response.status, 400);
    assert.match(await response.text(), /Can't find JSON in data.*MICROSERVICE_BAD_DATA/);
  });
  test('a request without a body is told so', async () => {
    const response = await fetch(`${echo.url}/predict`);
    assert.equal(response.status, 400);
    assert.match(await response.text(), /MICROSERVICE_BAD_DATA/);
  });
  test('multipart files and fields make one message', async () => {
    const form = new FormData();
    form.set('meta', '{"puid":"p"}');
    form.set('strData', '{"not":"parsed"}');
    const response = await fetch(`${echo.url}/predict`, { method: 'POST', body: form });
    const body = (await response.json()) as Record<string, any>;
    assert.equal(body['strData'], '{"not":"parsed"}');
    assert.equal(body['meta'].puid, 'p');
  });
  test('a method that a route has not is an internal error, as every unknown route', async () => {
    assert.equal((await fetch(`${echo.url}/api/v1.0/predictions`)).status, 500);
    assert.equal((await fetch(`${echo.url}/nothing`, { method: 'PUT' })).status, 500);
  });
  test('any page may ask', async () => {
    const headers = { origin: 'https://a.example', 'access-control-request-method': 'POST' };
    const response = await fetch(`${echo.url}/predict`, { method: 'OPTIONS', headers });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
  });
  test('the description of the API is there', async () => {
    const response = await fetch(`${echo.url}/seldon.json`);
    const { openapi, info, paths } = (await response.json()) as Record<string, any>;
    assert.deepEqual([openapi, info.title], ['3.0.0', 'Seldon External API']);
    assert.ok(paths['/api/v1.0/predictions']);
  });
  test('an image with a port gives name and version', async () => {
    const response = await fetch(`${echo.url}/api/v1.0/metadata`);
    const { name, versions } = (await response.json()) as Record<string, any>;
    assert.deepEqual([name, versions], ['host:5000/iris', ['v2']]);
  });
  test('feedback makes floats of its numbers, and gives an empty array in the form of the request', async () => {
    const tensor = { request: { data: { tensor: { shape: [1], values: [1] } } }, reward: 1 };
    assert.deepEqual((await post(`${echo.url}/send-feedback`, tensor)).body['data'], {
      tensor: { shape: [0] },
    });
    assert.deepEqual((await post(`${echo.url}/send-feedback`, {})).body['data'], {
      tensor: { shape: [0] },
    });
  });
  test('feedback with two payloads in one message is refused', async () => {
    const { status } = await post(`${echo.url}/send-feedback`, {
      request: { strData: 'x', binData: '' },
    });
    assert.equal(status, 400);
  });
});

const cases: {
  name: string;
  model: unknown;
  path: string;
  send: unknown;
  gives: [number, unknown];
}[] = [
  {
    name: 'a router answers in the form of the request',
    model: classes.router,
    path: '/route',
    send: {
      data: { ndarray: [[1]] },
      meta: { puid: 'p', tags: { a: 1 }, requestPath: { b: 'c' } },
    },
    gives: [200, { data: { names: ['t:0'], ndarray: [[1]] }, meta: { puid: 'p' } }],
  },
  {
    name: 'a route that is no integer is refused',
    model: class {
      route() {
        return 1.5;
      }
    },
    path: '/route',
    send: { strData: '' },
    gives: [400, failure('Routing response must be int but got 1.5', 'MICROSERVICE_BAD_DATA')],
  },
  {
    name: 'messages to aggregate may come by name, and their tags and paths are merged',
    model: classes.combiner,
    path: '/aggregate',
    send: {
      seldonMessages: [
        { data: { ndarray: [[1, 2]] }, meta: { tags: { a: 1 }, requestPath: { a: 'i:1' } } },
        { data: { ndarray: [[3, 4]] }, meta: { tags: { b: 2 }, requestPath: { b: 'i:2' } } },
      ],
    },
    gives: [
      200,
      {
        data: { names: ['t:0', 't:1'], ndarray: [[2, 3]] },
        meta: { tags: { a: 1, b: 2 }, requestPath: { a: 'i:1', b: 'i:2' } },
      },
    ],
  },
  {
    name: 'metadata of the wrong form are told as such',
    model: classes.badmeta,
    path: 'GET /metadata',
    send: undefined,
    gives: [500, failure('Model metadata unavailable', 'MICROSERVICE_BAD_METADATA')],
  },
  {
    name: 'a metric with tags tells its method in the response',
    model: class extends classes.echo {
      metrics() {
        return [{ type: 'GAUGE', key: 'k', value: 1, tags: { a: 'b' } }];
      }
    },
    path: '/predict',
    send: { strData: '' },
    gives: [
      200,
      {
        strData: '',
        meta: {
          metrics: [{ type: 'GAUGE', key: 'k', value: 1, tags: { a: 'b', method: 'predict' } }],
        },
      },
    ],
  },
  {
    name: 'a metric of the wrong form is told as such',
    model: class extends classes.echo {
      metrics() {
        return [{ type: 'COUNTER', key: 'k' }];
      }
    },
    path: '/predict',
    send: { strData: '' },
    gives: [
      500,
      failure(
        'Bad metric created during request: [{"type":"COUNTER","key":"k"}]',
        'MICROSERVICE_BAD_METRIC',
      ),
    ],
  },
  {
    name: 'a hook that is not implemented is as good as not there',
    model: class {
      predict() {
        throw new SeldonNotImplementedError();
      }
    },
    path: '/predict',
    send: { data: { ndarray: [[1]] } },
    gives: [200, { data: { names: [], ndarray: [] }, meta: {} }],
  },
  {
    name: 'a raw hook that is not implemented leaves the work to the other',
    model: class extends classes.echo {
      predict_raw() {
        throw new SeldonNotImplementedError();
      }
    },
    path: '/predict',
    send: { strData: 'x' },
    gives: [200, { strData: 'x', meta: {} }],
  },
  {
    name: 'a model may say which status it means',
    model: class {
      predict() {
        throw new MicroserviceError('later', { status: 503, reason: 'LATER' });
      }
    },
    path: '/predict',
    send: { strData: 'x' },
    gives: [503, failure('later', 'LATER')],
  },
  {
    name: 'typed arrays and tensors are numbers',
    model: class {
      predict() {
        return new Tensor([2, 2], Float64Array.of(1, 2, 3, 4));
      }
    },
    path: '/predict',
    send: { strData: 'x' },
    gives: [
      200,
      {
        data: { names: ['t:0', 't:1'], tensor: { shape: [2, 2], values: [1, 2, 3, 4] } },
        meta: {},
      },
    ],
  },
  {
    name: 'transforming hooks are called, async ones too',
    model: class {
      async transformInput(x: string, _names: string[], meta: object) {
        return { x, meta };
      }
    },
    path: '/transform-input',
    send: { strData: 'x', meta: { puid: 'p' } },
    gives: [200, { jsonData: { x: 'x', meta: { puid: 'p' } }, meta: { puid: 'p' } }],
  },
];

for (const { name, model, path, send, gives } of cases)
  test(name, async () => {
    const server = await startModel(model);
    try {
      const [method, route] = path.startsWith('GET ') ? ['GET', path.slice(4)] : ['POST', path];
      const response = await fetch(
        server.url + route,
        method === 'GET' ? {} : json(JSON.stringify(send)),
      );
      assert.deepEqual([response.status, await response.json()], gives);
    } finally {
      await server.close();
    }
  });

test('the reward and the child that answered reach the model', async () => {
  let seen: unknown[] = [];
  const model = class {
    sendFeedback(...args: unknown[]) {
      seen = args;
    }
  };
  const server = await startModel(model, UNIT);
  try {
    await post(`${server.url}/send-feedback`, {
      request: { data: { names: ['a', 'b'], ndarray: [['x', 1]] } },
      response: { meta: { routing: { model: 1 } } },
      reward: 0.5,
      truth: { data: { tensor: { shape: [1], values: [2] } } },
    });
    assert.deepEqual(seen, [[['x', '1.0']], ['a', 'b'], 0.5, [2], 1]);
    assert.match(
      await (await fetch(server.metricsUrl)).text(),
      /seldon_api_model_feedback_reward_total\{.*\} 0\.5/,
    );
  } finally {
    await server.close();
  }
});

test('metrics are counted with their labels, and may be kept out of the response', async () => {
  const model = class extends classes.echo {
    metrics() {
      return [
        { type: 'COUNTER', key: 'c', value: 2 },
        { type: 'GAUGE', key: 'g', value: 7, tags: { color: 'red' } },
        { type: 'TIMER', key: 't', value: 20 },
      ];
    }
  };
  const server = await startModel(model, {
    ...UNIT,
    INCLUDE_METRICS_IN_CLIENT_RESPONSE: 'false',
    PREDICTOR_LABELS: '{"version":"v9"}',
  });
  try {
    for (const _ of [1, 2]) {
      const { body } = await post(`${server.url}/predict`, { strData: 'x' });
      assert.equal(body['meta'].metrics, undefined);
    }
    const page = await (await fetch(server.metricsUrl)).text();
    const line = (name: string) => page.split('\n').find((one) => one.startsWith(`${name}{`)) ?? '';
    assert.match(line('c_total'), / 4$/);
    for (const label of [
      'method="predict"',
      'model_name="model"',
      'model_version="v2"',
      'image_name="host:5000/iris"',
      'predictor_version="v9"',
      'deployment_name="NOT_IMPLEMENTED"',
      'worker_id=',
    ])
      assert.ok(line('c_total').includes(label), `${label} in ${line('c_total')}`);
    assert.match(line('g'), /color="red".* 7$/);
    assert.match(line('t_sum'), / 0\.04$/);
    assert.equal(page.match(/^t_bucket/gm)?.length, 51);
  } finally {
    await server.close();
  }
});

function json(body: string): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body };
}

function failure(info: string, reason: string): object {
  return { status: { status: 1, code: -1, info, reason } };
}
