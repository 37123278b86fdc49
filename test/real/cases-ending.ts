/** Keys that end while bytes flow: what is running goes on, what is asked next is refused. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, startSts } from './agent.ts';
import { MODEL, type Bench, type Env } from './bench.ts';
import { named, nobody, temporary, tokenFile } from './keyless.ts';
import type { Outcome } from './programs.ts';
import type { RealServer } from './servers.ts';
import { revoke, type TemporaryKeys } from './temporary-keys.ts';

const URI = 's3://models/m';
const MIB = 1 << 20;

/** The model is `s3://models/m` on `server`, which is MinIO. */
export function endingCases(bench: Bench, server: RealServer): Record<string, () => Promise<void>> {
  const slowly = ['--limit-rate', '8Mi', '--concurrency', '2'];
  /** Runs in `env`, and takes `keys` back when a part of the model is there; `then` comes first. */
  const interrupted = async (env: Env, keys: TemporaryKeys, then: () => void): Promise<Outcome> => {
    server.wire.reset();
    const running = bench.fetch(URI, env, slowly);
    for (let waited = 0; server.wire.received() < 3 * MIB && waited < 200; waited += 1)
      await sleep(50);
    then();
    await revoke(server.url, keys);
    return running;
  };
  const failedFor = (outcome: Outcome): void => {
    assert.equal(outcome.status, 11, outcome.stderr);
    const { error } = JSON.parse(outcome.stdout) as { error: { code: string; hint?: string } };
    assert.equal(error.code, 'UNAUTHENTICATED');
    assert.match(error.hint ?? '', /temporary credentials|session/);
    assert.deepEqual([...outcome.tree.keys()], []);
  };
  const withAgent = async (fresh?: TemporaryKeys): Promise<{ outcome: Outcome; given: number }> => {
    const keys = await temporary(bench, server);
    const agent = await startAgent(bench, 'a.pod.token', keys);
    const env = {
      ...nobody(server.url),
      AWS_CONTAINER_CREDENTIALS_FULL_URI: agent.url,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile(bench, 'a.pod.token'),
    };
    const outcome = await interrupted(env, keys, () => {
      if (fresh) agent.keys = fresh;
    });
    return { outcome, given: agent.given() };
  };
  return {
    'keys that end half-way are asked for again, and the run finishes': async () => {
      const { outcome, given } = await withAgent(await temporary(bench, server));
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(outcome.tree.size, MODEL.length);
      assert.equal(given, 2);
    },
    'keys that end half-way, and no others, end the run': async () => {
      failedFor((await withAgent()).outcome);
    },
    'keys in files that are renewed half-way are read again': async () => {
      const [keys, fresh] = [await temporary(bench, server), await temporary(bench, server)];
      const folder = bench.newFolder();
      const variables = Object.keys(named(keys));
      const write = (now: TemporaryKeys): void => {
        for (const [name, value] of Object.entries(named(now)))
          writeFileSync(join(folder, name), value);
      };
      write(keys);
      const files = variables.map((name) => [`${name}_FILE`, join(folder, name)]);
      const env = { ...nobody(server.url), ...(Object.fromEntries(files) as Env) };
      const outcome = await interrupted(env, keys, () => {
        write(fresh);
      });
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(outcome.tree.size, MODEL.length);
    },
    'keys of a profile that are renewed half-way are read again': async () => {
      const [keys, fresh] = [await temporary(bench, server), await temporary(bench, server)];
      const file = join(bench.newFolder(), 'credentials');
      const write = (now: TemporaryKeys): void => {
        const lines = Object.entries(named(now)).map(
          ([name, value]) => `${name.toLowerCase()} = ${value}\n`,
        );
        writeFileSync(file, `[default]\n${lines.join('')}`);
      };
      write(keys);
      const env = { ...nobody(server.url), AWS_SHARED_CREDENTIALS_FILE: file };
      const outcome = await interrupted(env, keys, () => {
        write(fresh);
      });
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(outcome.tree.size, MODEL.length);
    },
    'a role whose session ends half-way is assumed again': async () => {
      const [keys, fresh] = [await temporary(bench, server), await temporary(bench, server)];
      const sts = await startSts(bench, [keys, fresh]);
      const env = {
        ...nobody(server.url),
        AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/reader',
        AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile(bench, 'a.web.token'),
        AWS_ENDPOINT_URL_STS: sts.url,
      };
      const outcome = await interrupted(env, keys, () => undefined);
      assert.equal(outcome.status, 0, outcome.stderr);
      assert.equal(outcome.tree.size, MODEL.length);
      assert.equal(sts.given(), 2);
    },
    'keys by name that end half-way end the run': async () => {
      const keys = await temporary(bench, server);
      failedFor(
        await interrupted({ ...nobody(server.url), ...named(keys) }, keys, () => undefined),
      );
    },
  };
}
