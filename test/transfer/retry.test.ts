import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ModelFetchError } from '../../src/errors.ts';
import { fetchModel } from '../../src/index.ts';
import {
  backoff,
  connectionRefused,
  connectionCut,
  Patience,
  pause,
} from '../../src/transfer/retry.ts';
import { fromData, toData } from '../../src/transfer/error-data.ts';
import { retryAfterMs } from '../../src/retry-after.ts';
import { startS3 } from '../servers/s3.ts';
import { freeAddress } from '../support/free-address.ts';
import { fails, KEEP, s3Scene, treeFrom, treeOf } from '../publish/scene.ts';

const unavailable = new ModelFetchError('UNAVAILABLE', 'no');
const refused = new ModelFetchError('UNAVAILABLE', 'refused', {
  cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
});

test('a connection that was cut is told from a refused one, also when a thread met it', () => {
  const met = (code: string): ModelFetchError =>
    new ModelFetchError('UNAVAILABLE', code, {
      cause: new Error('outer', { cause: Object.assign(new Error(code), { code }) }),
    });
  for (const [code, expected] of [
    ['ECONNRESET', true],
    ['EPIPE', true],
    ['ECONNREFUSED', false],
    ['ETIMEDOUT', false],
  ] as const) {
    assert.equal(connectionCut(met(code)), expected, code);
    assert.equal(connectionCut(fromData(toData(met(code)))), expected, code);
  }
  assert.equal(connectionCut(new ModelFetchError('TRUNCATED', 'early')), true);
  assert.equal(connectionCut(new ModelFetchError('STALLED', 'silence')), false);
  assert.equal(connectionCut(undefined), false);
});

describe('the wait before another attempt', () => {
  test('doubles, with jitter, up to half a minute', () => {
    for (const [failures, ceiling] of [
      [1, 200],
      [2, 400],
      [5, 3200],
      [9, 30_000],
      [60, 30_000],
    ] as const) {
      assert.equal(
        backoff(failures, undefined, () => 0),
        ceiling / 2,
      );
      assert.equal(
        backoff(failures, undefined, () => 1),
        ceiling,
      );
    }
  });

  test('is what the server asks for, within five minutes', () => {
    assert.equal(
      backoff(1, 2000, () => 0),
      2000,
    );
    assert.equal(
      backoff(1, 86_400_000, () => 0),
      300_000,
    );
  });

  test('Retry-After is seconds or a date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    assert.equal(retryAfterMs('7', now), 7000);
    assert.equal(retryAfterMs(' 0 ', now), 0);
    assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:03 GMT', now), 3000);
    assert.equal(retryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
    for (const odd of [undefined, '', '-1', 'soon', '1e9']) {
      const ms = retryAfterMs(odd, now);
      assert.ok(ms === undefined || ms >= 0, String(odd));
    }
  });

  test('ends with the run', async () => {
    const reason = new Error('stop');
    const started = performance.now();
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 20);
    await assert.rejects(pause(60_000, controller.signal), reason);
    assert.ok(performance.now() - started < 1000);
  });
});

describe('patience', () => {
  test('ends after so many failures in a row, and a new byte begins it anew', () => {
    const patience = new Patience({ attempts: 3, connectGraceMs: 0 });
    patience.after(unavailable);
    patience.after(unavailable);
    patience.progressed();
    patience.after(unavailable);
    patience.after(unavailable);
    assert.throws(() => patience.after(unavailable), /gave up after 3 attempts/);
  });

  test('does not begin where waiting cannot help', () => {
    const changed = new ModelFetchError('SOURCE_CHANGED', 'moved');
    const patience = new Patience({ attempts: 3, connectGraceMs: 0 });
    assert.throws(() => patience.after(changed), changed);
  });

  test('refused connections do not count during the grace period', () => {
    const patience = new Patience({ attempts: 2, connectGraceMs: 60_000 });
    for (let i = 0; i < 20; i++) assert.ok(patience.after(refused) >= 250);
    const impatient = new Patience({ attempts: 2, connectGraceMs: 0 });
    impatient.after(refused);
    assert.throws(() => impatient.after(refused), /gave up/);
  });

  test('a refused connection is seen through wrappers, and among the failures of several addresses', () => {
    const code = (name: string): Error => Object.assign(new Error(name), { code: name });
    assert.ok(connectionRefused(refused));
    const all = new AggregateError([code('ECONNREFUSED'), code('ECONNREFUSED')]);
    assert.ok(connectionRefused(new Error('wrapped', { cause: all })));
    const some = new AggregateError([code('ECONNREFUSED'), code('ETIMEDOUT')]);
    assert.equal(connectionRefused(some), false);
    assert.equal(connectionRefused(unavailable), false);
    assert.equal(connectionRefused('text'), false);
  });
});

describe('a run', () => {
  test('waits as long as Retry-After says', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a' });
    const times: number[] = [];
    scene.trouble = ({ key, method }) => {
      if (method !== 'GET' || key === '') return undefined;
      times.push(performance.now());
      return times.length === 1 ? { status: 503, retryAfter: 1 } : undefined;
    };
    const result = await scene.fetch('m');
    assert.equal(result.retries, 1);
    const waited = times[1]! - times[0]!;
    assert.ok(waited >= 990 && waited < 2500, `${String(waited)} ms`);
  });

  test('survives a burst of 503 and 429 over many files', async (t) => {
    const scene = await s3Scene(t);
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`f${String(i)}`, `content ${String(i)}`]),
    );
    scene.model('m', files);
    const failed = new Map<string, number>();
    scene.trouble = ({ key, method }) => {
      if (method !== 'GET' || key === '') return undefined;
      const times = (failed.get(key) ?? 0) + 1;
      failed.set(key, times);
      return times <= 2 ? { status: times === 1 ? 503 : 429 } : undefined;
    };
    const result = await scene.fetch('m', { attempts: 4 });
    assert.equal(result.retries, 80);
    assert.deepEqual(treeOf(scene.dest), treeFrom(files));
  });

  test('gives up when it does not end, says how often it tried, and leaves nothing visible', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { a: 'a', b: 'b' });
    scene.trouble = ({ key }) => (key === 'm/b' ? { status: 503 } : undefined);
    const error = await fails(scene.fetch('m', { attempts: 2 }), 'UNAVAILABLE', /gave up after 2/);
    assert.equal(error.exitStatus, 12);
    assert.deepEqual(treeOf(scene.dest), {});
  });

  for (const scheme of ['http', 's3'] as const) {
    test(`waits for a server that starts late (${scheme})`, async (t) => {
      const { host, port, origin } = await freeAddress();
      const scene = await s3Scene(t);
      const env = { ...scene.options.env, AWS_ENDPOINT_URL: origin };
      const uri = scheme === 's3' ? 's3://late/m/' : `${origin}/late/m/a.bin`;
      const comes = async (): Promise<void> => {
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const late = await startS3({ host, port, publicBuckets: ['late'] });
        t.after(() => late.close());
        late.put('late', 'm/a.bin', 'here');
      };
      const options = { ...KEEP, env, attempts: 2, connectGraceMs: 20_000 };
      const both = await Promise.allSettled([comes(), fetchModel(uri, scene.dest, options)]);
      for (const done of both) if (done.status === 'rejected') throw done.reason;
      assert.deepEqual(treeOf(scene.dest), { 'a.bin': 'here' });
    });

    test(`does not wait beyond the grace period (${scheme})`, async (t) => {
      const { origin } = await freeAddress();
      const scene = await s3Scene(t);
      const env = { ...scene.options.env, AWS_ENDPOINT_URL: origin };
      const uri = scheme === 's3' ? 's3://late/m/' : `${origin}/a.bin`;
      const options = { ...KEEP, env, attempts: 2, connectGraceMs: 0 };
      const error = await fails(fetchModel(uri, scene.dest, options), 'UNAVAILABLE');
      assert.ok(connectionRefused(error));
    });
  }
});
