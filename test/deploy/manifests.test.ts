/** What can be said about `deploy/` without a YAML parser or an API server; `npm run test:k8s` says the rest. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { toPairs } from '../../src/cli/grammar.ts';
import { parseWords } from '../../src/cli/program.ts';
import { settle, unknownVariables } from '../../src/cli/settle.ts';
import { createRegistry } from '../../src/create-registry.ts';
import { EXIT_STATUS } from '../../src/errors.ts';
import { parseRef } from '../../src/ref.ts';
import { IMAGE, imageFacts, manifest, MANIFESTS, ROOT } from './manifests.ts';

const registry = createRegistry();
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const uncommented = (text: string): string => text.replace(/(^|\s)#.*$/gm, '');
const all = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map((match) => match[1]!);

/** `args` are written as one flow sequence of quoted words, here and in the documentation. */
function argsOf(text: string): string[][] {
  return all(text, /^\s*(?:- )?args: (\[.*\])$/gm).map(
    (words) => JSON.parse(words.replaceAll("'", '"')) as string[],
  );
}

suite('deploy: what the command understands', () => {
  for (const { file, text } of MANIFESTS) {
    const runs = argsOf(text);
    assert.equal(
      runs.length,
      all(text, /^\s*(?:- )?(args):/gm).length,
      `${file}: args in one line`,
    );
    for (const args of runs)
      test(`${file}: ${args.join(' ')}`, () => {
        const invocation = parseWords(args, { color: false, columns: 100 });
        assert.ok('command' in invocation && invocation.command === 'fetch');
        settle('fetch', invocation.given, {});
        for (const { uri, dest } of toPairs(invocation.operands, {})) {
          assert.ok(registry.find(parseRef(uri)));
          const mounts = all(uncommented(text), /mountPath: ([^\s,}]+)/g);
          assert.ok(
            mounts.some((mount) => `${dest}/`.startsWith(`${mount}/`)),
            `${dest} is mounted`,
          );
        }
      });

    const uris = all(uncommented(text), /(?:modelUri|storageUri): (\S+)/g);
    for (const uri of uris)
      test(`${file}: ${uri} has a scheme that is built in`, () => {
        assert.ok(registry.find(parseRef(uri)));
      });

    test(`${file}: variables of ours are known, commented ones too`, () => {
      const names = text.match(/\bMODEL_FETCH_\w+/g) ?? [];
      assert.deepEqual(unknownVariables(Object.fromEntries(names.map((name) => [name, 'x']))), []);
    });
  }

  test('a claim that a pvc:// URI names is mounted where it is looked for', () => {
    const { text } = manifest('pods/pvc.yaml');
    const [uri] = argsOf(text)[0]!;
    const { scheme, authority } = parseRef(uri!);
    assert.equal(scheme, 'pvc');
    assert.match(text, new RegExp(`mountPath: /mnt/pvc/${authority}\\b`));
    assert.match(text, new RegExp(`claimName: ${authority}\\b`));
  });

  test("KServe's containers take only schemes that are built in, and all of those it asks for", () => {
    for (const file of ['kserve/cluster-storage-container.yaml', 'kserve/local-model-cache.yaml']) {
      const prefixes = all(manifest(file).text, /- prefix: ['"]?(\S+?:\/\/)/g);
      const remote = ['s3', 's3a', 'gs'];
      assert.deepEqual(prefixes.sort(), remote.map((scheme) => `${scheme}://`).sort(), file);
      for (const prefix of prefixes) assert.ok(registry.find(parseRef(`${prefix}bucket/model`)));
    }
  });
});

suite('deploy: what is filled once, for other pods', () => {
  test('is written down to the disk: nothing looks after it when the node is restarted', () => {
    const [args] = argsOf(manifest('pods/prefetch-job.yaml').text);
    const invocation = parseWords(args!, { color: false, columns: 100 });
    assert.ok('command' in invocation);
    assert.equal(settle('fetch', invocation.given, {}).fsync, 'always');
    const cache = uncommented(manifest('kserve/local-model-cache.yaml').text);
    const [value] = all(cache, /name: MODEL_FETCH_FSYNC, value: (\w+)/g);
    assert.equal(settle('fetch', {}, { MODEL_FETCH_FSYNC: value! }).fsync, 'always');
  });

  test('and only that: an init container runs again, and need not wait', () => {
    const synced = MANIFESTS.filter(({ text }) => /fsync/i.test(uncommented(text)));
    assert.deepEqual(synced.map(({ file }) => file).sort(), [
      'deploy/kserve/local-model-cache.yaml',
      'deploy/pods/prefetch-job.yaml',
    ]);
  });
});

suite('deploy: the image', () => {
  const { uid, gid, entrypoint } = imageFacts();

  test('its user is a number, and not root: runAsNonRoot can be checked without runAsUser', () => {
    assert.ok(uid > 0 && gid > 0);
    assert.ok(entrypoint.length > 0 && entrypoint[0]!.startsWith('/'));
  });

  for (const { file, text } of MANIFESTS)
    test(`${file}: names one image, leaves its entrypoint alone, and runs it as its user or none`, () => {
      const bare = uncommented(text);
      for (const image of all(bare, /\b(?:image|storageInitializerImage)['"]?: ['"]?([^\s'",]+)/g))
        assert.ok([IMAGE, 'example.com/server:1'].includes(image), image);
      for (const [name, tag] of [
        [/\b(?:repository|newName): (\S+)/g, /\b(?:tag|newTag): ['"]?([^\s'"]+)/g],
      ] as const)
        assert.deepEqual(
          all(bare, name).map((repository, at) => `${repository}:${all(bare, tag)[at]!}`),
          all(bare, name).map(() => IMAGE),
        );
      assert.doesNotMatch(bare, /^\s*(?:- )?command:/m);
      for (const [field, value] of [
        ['runAsUser', uid],
        ['runAsGroup', gid],
        ['fsGroup', gid],
      ] as const)
        for (const found of all(bare, new RegExp(`\\b${field}: (\\d+)`, 'g')))
          assert.equal(Number(found), value, field);
    });

  test('the tag is the version of the package', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    assert.ok(version.startsWith(IMAGE.split(':')[1]!), version);
  });
});

suite('deploy: exit statuses', () => {
  const page = read('docs/kubernetes.md');
  /** Statuses by the last word about them: whether another try may help. */
  const rows = [...page.matchAll(/^\| ([\d, ]+) \|.*\| (retry|final)\b.*\|$/gm)];
  const statuses = (verdict: string) =>
    rows
      .filter((row) => row[2] === verdict)
      .flatMap((row) => row[1]!.split(',').map(Number))
      .sort((a, b) => a - b);

  test('the page says of every status whether another try may help', () => {
    const known = [...new Set<number>(Object.values(EXIT_STATUS)), 137, 143].sort((a, b) => a - b);
    assert.deepEqual(
      [...statuses('retry'), ...statuses('final')].sort((a, b) => a - b),
      known,
    );
  });

  test('the job gives up at once on those the page calls final, and on no other', () => {
    const [, values] =
      /action: FailJob[\s\S]*?values: \[([\d, ]+)\]/.exec(
        manifest('pods/prefetch-job.yaml').text,
      ) ?? [];
    assert.deepEqual(values!.split(',').map(Number), statuses('final'));
  });
});

suite('deploy: the page for operators', () => {
  const page = read('docs/kubernetes.md');

  test('names every file, and none that is not there', () => {
    for (const { file } of MANIFESTS) assert.ok(page.includes(file), `${file} is not mentioned`);
    for (const file of page.match(/\bdeploy\/[\w./-]+\.yaml/g) ?? [])
      assert.ok(existsSync(join(ROOT, file)), file);
  });

  test('shows only commands and variables that exist', () => {
    const names = page.match(/\bMODEL_FETCH_[A-Z0-9_]*[A-Z0-9]\b/g) ?? [];
    assert.deepEqual(unknownVariables(Object.fromEntries(names.map((name) => [name, 'x']))), []);
    for (const args of argsOf(page)) assert.ok(parseWords(args, { color: false, columns: 100 }));
  });
});
