/** One body over one connection: what breaks it, and what becomes of it. Over HTTP, where every server is different. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fetchModel } from '../../src/index.ts';
import {
  bodyGets,
  fails,
  httpScene,
  KEEP,
  large,
  s3Scene,
  sha256,
  treeFrom,
  treeOf,
} from '../publish/scene.ts';

const BYTES = large(1_000_000);

describe('a body that breaks off', () => {
  test('goes on at the byte reached', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES);
    http.faults.push({ kind: 'cut', after: 300_000, skip: 1, times: 1 });
    const result = await fetchModel(url, dest, KEEP);
    assert.deepEqual(treeOf(dest), treeFrom({ 'model.bin': BYTES }));
    const [first, second, ...more] = bodyGets(http).map(({ headers }) => headers['range']);
    assert.equal(first, undefined);
    const start = Number(/^bytes=(\d+)-999999$/.exec(second!)![1]);
    assert.ok(start > 0 && start <= 300_000, second);
    assert.deepEqual(more, []);
    assert.equal(result.retries, 1);
    assert.equal(result.fetchedBytes, BYTES.length);
  });

  test('by silence goes on as well', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES);
    http.faults.push({ kind: 'stall', after: 300_000, skip: 1, times: 1 });
    http.faults.push({ kind: 'silence', times: 1, skip: 2 });
    await fetchModel(url, dest, { ...KEEP, stallTimeoutMs: 300 });
    assert.deepEqual(treeOf(dest), treeFrom({ 'model.bin': BYTES }));
  });

  test('begins anew where the server has no ranges', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES, { ranges: false });
    http.faults.push({ kind: 'cut', after: 300_000, skip: 1, times: 2 });
    const result = await fetchModel(url, dest, KEEP);
    assert.deepEqual(treeOf(dest), treeFrom({ 'model.bin': BYTES }));
    assert.equal(bodyGets(http).length, 3);
    assert.equal(result.retries, 2);
  });

  test('begins anew where the server turns out to ignore ranges', async (t) => {
    const scene = await s3Scene(t);
    scene.model('m', { 'model.bin': BYTES });
    let gets = 0;
    scene.trouble = ({ key, method }) =>
      method === 'GET' && key !== ''
        ? { range: 'whole', ...(++gets === 1 && { dropAfter: 300_000 }) }
        : undefined;
    await scene.fetch('m');
    assert.deepEqual(treeOf(scene.dest), treeFrom({ 'model.bin': BYTES }));
  });

  test('at the same place every time is given up: coming there again is no progress', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES, { ranges: false });
    http.faults.push({ kind: 'cut', after: 300_000, skip: 1, times: 100 });
    await fails(fetchModel(url, dest, { ...KEEP, attempts: 3 }), 'TRUNCATED', /gave up after 3/);
    assert.ok(bodyGets(http).length <= 4);
    assert.equal(existsSync(dest), false);
  });

  test('of unknown length is not taken for the whole', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES);
    http.faults.push({ kind: 'chunked', times: 1 });
    http.faults.push({ kind: 'chunked', cutAfter: 300_000, times: 1 });
    http.faults.push({ kind: 'chunked', times: 100 });
    await fetchModel(url, dest, KEEP);
    assert.deepEqual(treeOf(dest), treeFrom({ 'model.bin': BYTES }));
  });

  test('and whose length is told by nothing but the end of the connection is refused', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES, { ranges: false });
    http.faults.push({ kind: 'raw', bytes: 'HTTP/1.1 200 OK\r\n\r\nsome', times: 100 });
    await fails(fetchModel(url, dest, KEEP), 'BAD_RESPONSE');
    assert.equal(existsSync(dest), false);
  });
});

describe('an answer that is not what was asked for', () => {
  test('the validator changed: SOURCE_CHANGED, nothing published', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES);
    http.faults.push({ kind: 'other-version', etag: '"other"', skip: 1, times: 100 });
    await fails(fetchModel(url, dest, KEEP), 'SOURCE_CHANGED');
    assert.equal(existsSync(dest), false);
  });

  test('the condition fails: SOURCE_CHANGED', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES);
    http.faults.push({ kind: 'cut', after: 1000, skip: 1, times: 1 });
    const fetching = fetchModel(url, dest, KEEP);
    while (bodyGets(http).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    http.put('/model.bin', large(1_000_000, 2));
    await fails(fetching, 'SOURCE_CHANGED');
    assert.equal(existsSync(dest), false);
  });

  for (const kind of ['encoded', 'wrong-range'] as const) {
    test(`${kind}: refused`, async (t) => {
      const { http, dest } = await httpScene(t);
      const url = http.put('/model.bin', large(20 * 1024 * 1024));
      http.faults.push({ kind, skip: 1, times: 100 });
      const error = await fails(
        fetchModel(url, dest, KEEP),
        kind === 'encoded' ? 'BAD_RESPONSE' : 'SOURCE_CHANGED',
      );
      assert.equal(error.exitStatus, 13);
      assert.equal(existsSync(dest), false);
    });
  }

  for (const kind of ['whole-for-range', 'part-as-whole'] as const) {
    test(`${kind}: one pass in the end`, async (t) => {
      const { http, dest } = await httpScene(t);
      const bytes = large(20 * 1024 * 1024);
      const url = http.put('/model.bin', bytes);
      http.faults.push({
        kind,
        on: ({ headers }) => (headers['range'] ?? 'bytes=0-0') !== 'bytes=0-0',
        times: 100,
      });
      await fetchModel(url, dest, KEEP);
      assert.deepEqual(treeOf(dest), treeFrom({ 'model.bin': bytes }));
      assert.equal(bodyGets(http).at(-1)!.headers['range'], undefined);
    });
  }

  test('the digest in the URL is of other bytes', async (t) => {
    const { http, dest } = await httpScene(t);
    const url = http.put('/model.bin', BYTES);
    await fails(
      fetchModel(`${url}#sha256=${sha256('other')}`, dest, KEEP),
      'DIGEST_MISMATCH',
      /model\.bin.*sha256/,
    );
    assert.equal(existsSync(dest), false);
    const result = await fetchModel(`${url}#sha256=${sha256(BYTES)}`, dest, KEEP);
    assert.deepEqual(result.verified, { sha256: 1 });
  });
});

describe('connections', () => {
  test('are cut by RSTs in the middle of ranges, and every byte is right in the end', async (t) => {
    const { http, dest } = await httpScene(t);
    const bytes = large(40 * 1024 * 1024);
    const url = http.put('/model.bin', bytes);
    for (let i = 0; i < 12; i++)
      http.faults.push({
        kind: i % 3 === 0 ? 'reset' : 'cut',
        after: 100_000 * (i + 1),
        on: ({ headers }) => (headers['range'] ?? 'bytes=0-0') !== 'bytes=0-0',
        skip: i % 4,
        times: 1,
      });
    const result = await fetchModel(url, dest, KEEP);
    assert.ok(result.retries >= 8);
    assert.equal(result.fetchedBytes, bytes.length);
    assert.deepEqual(treeOf(dest), treeFrom({ 'model.bin': bytes }));
  });

  test('are kept and used again, and all closed in the end', async (t) => {
    const scene = await httpScene(t);
    const url = scene.http.put('/model.bin', large(60 * 1024 * 1024));
    // Under a limit, however high, one thread reads all: others would have connections of their own.
    await fetchModel(url, scene.dest, { ...KEEP, concurrency: 2, limitRate: 2 ** 40 });
    assert.equal(bodyGets(scene.http).length, 8);
    assert.ok(scene.http.accepted() <= 4, `${String(scene.http.accepted())} connections`);
    await fetchModel(url, `${scene.dest}-2`, { ...KEEP, concurrency: 2 });
    for (let i = 0; i < 50 && scene.http.connections() > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(scene.http.connections(), 0);
  });
});
