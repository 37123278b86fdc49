import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import {
  describeFailure,
  failureJson,
  failureLine,
  failureRecord,
  shortened,
} from '../../src/cli/failure.ts';
import {
  terminationLine,
  terminationLogPath,
  writeTerminationLog,
} from '../../src/cli/termination-log.ts';
import { ModelFetchError } from '../../src/errors.ts';
import { folder } from './child.ts';

const NOT_FOUND = new ModelFetchError('NOT_FOUND', 'there is nothing there', {
  uri: 'https://user:hunter2@host/m',
  hint: 'Check the path.',
});

suite('a failure', () => {
  test('is one line: code, message, uri and hint, without secrets', () => {
    assert.equal(
      failureLine(describeFailure(NOT_FOUND)),
      'error: NOT_FOUND there is nothing there (https://REDACTED@host/m) hint: Check the path.',
    );
  });
  test('does not say the uri twice', () => {
    const error = new ModelFetchError('NOT_FOUND', 's3://b/m is empty', { uri: 's3://b/m' });
    assert.equal(failureLine(describeFailure(error)), 'error: NOT_FOUND s3://b/m is empty');
  });
  test('names the file concerned', () => {
    const error = new ModelFetchError('TARGET_CHANGED', 'its bytes differ from the manifest', {
      path: 'weights.bin',
    });
    assert.equal(
      failureLine(describeFailure(error)),
      'error: TARGET_CHANGED its bytes differ from the manifest (weights.bin)',
    );
    assert.equal(describeFailure(error).exit, 13);
  });
  test('in JSON has the exit status', () => {
    assert.deepEqual(failureJson(describeFailure(NOT_FOUND)).error, {
      code: 'NOT_FOUND',
      message: 'there is nothing there',
      hint: 'Check the path.',
      uri: 'https://REDACTED@host/m',
      path: undefined,
      exit: 10,
    });
  });
  test('that nobody foresaw is ours, with status 1 and a request to report it', () => {
    const failure = describeFailure(
      new TypeError('x is\nnot a function at https://u:hunter2@host/'),
    );
    assert.equal(failure.exit, 1);
    const line = failureLine(failure);
    assert.match(
      line,
      /^error: INTERNAL x is not a function .*hint: This is a bug of model-fetch\. Please report it/,
    );
    assert.doesNotMatch(`${line}${failure.trace.join('')}`, /hunter2/);
    assert.ok(failure.trace.some((text) => text.includes('failure.test.ts')));
  });
  test('after a signal is the signal, whatever broke meanwhile', () => {
    const failure = describeFailure(NOT_FOUND, 'SIGTERM');
    assert.equal(failure.exit, 143);
    assert.match(failureLine(failure), /^error: ABORTED stopped by SIGTERM/);
    assert.equal(describeFailure(NOT_FOUND, 'SIGINT').exit, 130);
  });
  test('keeps the chain of causes for debugging', () => {
    const error = new ModelFetchError('UNAVAILABLE', 'gave up', {
      cause: new Error('socket', { cause: 'odd' }),
    });
    const trace = describeFailure(error).trace.join('\n');
    assert.match(trace, /gave up[^]*caused by Error: socket[^]*caused by 'odd'/);
  });
});

suite('the termination log', () => {
  test("is the file that was asked for, and Kubernetes's own only inside a pod", () => {
    assert.equal(terminationLogPath('/x', {}), '/x');
    assert.equal(terminationLogPath(false, { KUBERNETES_SERVICE_HOST: '10.0.0.1' }), undefined);
    assert.equal(terminationLogPath(undefined, {}), undefined);
  });
  test('is one redacted line of at most 4096 bytes', async (t) => {
    const path = join(await folder(t), 'log');
    writeTerminationLog(path, terminationLine(`a\nb https://u:hunter2@host/ ${'é'.repeat(4000)}`));
    const written = await readFile(path);
    assert.ok(written.length <= 4096 && written.length > 4090, String(written.length));
    const text = new TextDecoder('utf-8', { fatal: true }).decode(written);
    assert.match(text, /^a b https:\/\/REDACTED@host\/ é+…\n$/);
  });
  test('is cut between characters, never inside one', () => {
    for (let most = 10; most < 30; most++) {
      const text = shortened('aé漢😀'.repeat(20), most);
      assert.ok(Buffer.byteLength(text) <= most);
      assert.doesNotMatch(text, /\ufffd/);
    }
    assert.equal(shortened('short', 5), 'short');
  });
  test('stays JSON, with its code and status, however long the texts are', () => {
    const long = { code: 'NOT_FOUND', message: '"é\n'.repeat(5000), hint: '\u0000'.repeat(5000) };
    const line = failureRecord({ ...long, uri: 's3://b/m', exit: 10, trace: [] }, 0, 4095);
    assert.ok(Buffer.byteLength(line) <= 4095);
    const record = JSON.parse(line) as Record<string, unknown>;
    assert.deepEqual(
      [record['code'], record['uri'], record['exit'], record['time']],
      ['NOT_FOUND', 's3://b/m', 10, '1970-01-01T00:00:00.000Z'],
    );
    assert.match(line, /^\{"level":"error","code":"NOT_FOUND","msg":"/);
  });
});
