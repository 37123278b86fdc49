/** What a pod's container has to say at its end. */
import assert from 'node:assert/strict';
import type { Ran } from './node.ts';

/** A JSON summary for the kubelet, in one line, which is also the last on standard error. */
export function checkSuccess(
  { message, told, stdout, stderr }: Ran,
  targets: readonly string[],
): void {
  assert.ok(Buffer.byteLength(message) <= 4096);
  assert.match(message, /^[^\n]+\n$/);
  assert.ok(stderr.endsWith(`\n${message}`), stderr);
  const summary = JSON.parse(message) as Record<string, unknown>;
  assert.deepEqual([summary['status'], summary['targets']], ['done', targets]);
  assert.equal(told.at(-1)!['event'], 'done');
  assert.equal(stdout, `${targets.join('\n')}\n`);
  const loud = told.filter(({ level }) => level === 'warn' || level === 'error');
  assert.deepEqual(loud, []);
}

/** Code, cause and hint for the kubelet, in one line, which is also the last on standard error. */
export function checkFailure({ message, told, stdout, stderr }: Ran, code: string): void {
  assert.ok(Buffer.byteLength(message) <= 4096);
  assert.match(message, /^[^\n]+\n$/);
  assert.ok(stderr.endsWith(`\n${message}`) || stderr === message, stderr);
  const last = told.at(-1)!;
  assert.deepEqual([last['level'], last['event'], last['code']], ['error', 'error', code]);
  for (const field of ['msg', 'hint']) assert.ok(String(last[field]).length > 5, field);
  assert.equal(stdout, '');
}
