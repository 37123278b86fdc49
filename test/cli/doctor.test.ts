import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { checkCertificates, checkDest, checkLimits, checkProxy } from '../../src/cli/doctor.ts';
import { skewFinding } from '../../src/cli/doctor-uri.ts';
import { startHttpServer } from '../servers/http.ts';
import { folder } from './child.ts';
import { inProcess } from './host.ts';

interface Report {
  readonly ok: boolean;
  readonly findings: readonly { check: string; status: string; detail: string; hint?: string }[];
}

async function doctor(
  words: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<{ status: number | null; report: Report }> {
  const { status, stdout } = await inProcess(['doctor', ...words, '--output', 'json'], {
    cwd,
    env,
  });
  return { status, report: JSON.parse(stdout) as Report };
}

suite('the checks', () => {
  test('find a destination that is writable, not there yet, or no directory', async (t) => {
    const cwd = await folder(t);
    assert.match((await checkDest(cwd, true)).detail, /is writable, .* free$/);
    const missing = await checkDest(join(cwd, 'a', 'b'), true);
    assert.equal(missing.status, 'ok');
    assert.match(missing.detail, /does not exist yet; .* is writable/);
    const file = join(cwd, 'file');
    await writeFile(file, '');
    assert.deepEqual(
      [(await checkDest(file, true)).status, (await checkDest(file, true)).exit],
      ['fail', 15],
    );
    assert.equal((await checkDest(file, false)).status, 'warn');
  });
  test('find proxies that cannot be understood, and show none of their secrets', async () => {
    assert.equal((await checkProxy({})).detail, 'none');
    const good = await checkProxy({
      https_proxy: 'http://me:hunter2@proxy:3128',
      NO_PROXY: 'host',
    });
    assert.deepEqual(
      [good.status, good.detail],
      ['ok', 'https_proxy=http://REDACTED@proxy:3128 NO_PROXY=host'],
    );
    const bad = await checkProxy({ HTTPS_PROXY: 'socks5://proxy:1080' });
    assert.deepEqual([bad.status, bad.exit], ['fail', 2]);
  });
  test('find certificates that are missing or no certificates', async (t) => {
    const file = join(await folder(t), 'ca.pem');
    assert.equal((await checkCertificates({})).status, 'ok');
    assert.match(
      (await checkCertificates({ SSL_CERT_FILE: file })).detail,
      /cannot be read \(ENOENT\)/,
    );
    await writeFile(file, 'nothing');
    assert.match(
      (await checkCertificates({ AWS_CA_BUNDLE: file })).detail,
      /holds no PEM certificate/,
    );
    await writeFile(file, '-----BEGIN CERTIFICATE-----');
    assert.equal((await checkCertificates({ AWS_CA_BUNDLE: file })).status, 'ok');
  });
  test('name the limits of the machine', () => {
    assert.match(checkLimits().detail, /memory .*; .*CPU/);
  });
  test('know which difference of clocks matters', () => {
    assert.deepEqual(
      [1, -30, 120, -120, 400].map((seconds) => skewFinding(seconds).status),
      ['ok', 'ok', 'warn', 'warn', 'fail'],
    );
    assert.match(skewFinding(-400).detail, /6 min 40 s behind the server's/);
  });
});

suite('doctor', () => {
  test('alone needs nothing and succeeds', async (t) => {
    const { status, report } = await doctor([], await folder(t));
    assert.equal(status, 0);
    assert.equal(report.ok, true);
    const checks = report.findings.map(({ check }) => check);
    assert.deepEqual(checks, [
      'version',
      'user',
      'destination',
      'limits',
      'proxy',
      'certificates',
      's3 credentials',
      'gs credentials',
    ]);
  });

  test('looks at a URI: credentials, clock, first file', async (t) => {
    const cwd = await folder(t);
    const server = await startHttpServer();
    t.after(() => server.close());
    const { status, report } = await doctor([server.put('/m.bin', 'abc'), cwd], cwd);
    assert.equal(status, 0, JSON.stringify(report));
    const told = Object.fromEntries(report.findings.map(({ check, detail }) => [check, detail]));
    assert.equal(told['clock'], "agrees with the server's");
    assert.equal(told['listing'], 'the first file is m.bin, 3 B');
  });

  test('fails with the status of what is broken, and says it on both streams', async (t) => {
    const cwd = await folder(t);
    const { status, stdout, stderr } = await inProcess(
      ['doctor', join(cwd, 'nope'), '--log-format', 'text'],
      { cwd },
    );
    assert.equal(status, 10);
    assert.match(stdout, /^fail {2}listing {10}.*does not exist\n {24}hint: /m);
    assert.match(stderr, /^error: NOT_FOUND listing: .*does not exist/);
    const file = join(cwd, 'file');
    await writeFile(file, '');
    assert.equal((await doctor([file, file], cwd)).status, 15);
  });
});
