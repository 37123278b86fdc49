/** Cases on how a fetcher fails: with the right code, at once, and without telling a secret. */
import assert from 'node:assert/strict';
import { ModelFetchError } from '../errors.ts';
import type { Fetcher } from '../fetcher.ts';
import { redactText } from '../redact.ts';
import { fitting, TREE } from './cases-listing.ts';
import { failure, list, offered, sample, skip, type ResolveOptions, type Scene } from './scene.ts';

/** What a person still takes for "at once". */
const PROMPT_MS = 2000;

/** Nothing to list may be told by `resolve` or by `list`: the engine calls both. */
async function resolveAndList(scene: Scene, options: ResolveOptions = {}): Promise<void> {
  await list(await scene.resolve(options));
}

function helpful(error: ModelFetchError): void {
  assert.ok(error.uri, `no uri on: ${error.message}`);
  assert.ok(error.hint, `no hint for: ${error.message}`);
}

export const failingCases = {
  'says NOT_FOUND where nothing is': async (scene: Scene) => {
    const uri = offered(scene.harness.missingUri, 'missingUri');
    await scene.harness.put(fitting(scene, TREE));
    helpful(await failure(() => resolveAndList(scene, { uri }), 'NOT_FOUND'));
  },

  'says NOT_FOUND where a model holds no file': async (scene: Scene) => {
    await scene.harness.put({});
    helpful(await failure(() => resolveAndList(scene), 'NOT_FOUND'));
  },

  'says UNAUTHENTICATED or PERMISSION_DENIED to whom the source turns away': async (
    scene: Scene,
  ) => {
    const denied = offered(scene.harness.denied, 'denied');
    await scene.harness.put(fitting(scene, TREE));
    const attempt = async () => {
      const fetcher = await scene.resolve(denied);
      for (const entry of await list(fetcher)) await scene.read(fetcher, entry);
    };
    helpful(await failure(attempt, 'UNAUTHENTICATED', 'PERMISSION_DENIED'));
  },

  'keeps secrets out of uri, revision, entries and errors': async (scene: Scene) => {
    const { secrets, missingUri, denied } = scene.harness;
    const fetcher = await scene.model(fitting(scene, TREE));
    const said = [fetcher.uri, fetcher.revision ?? '', JSON.stringify(await list(fetcher))];
    assert.equal(redactText(fetcher.uri), fetcher.uri);
    for (const options of [missingUri && { uri: missingUri }, denied])
      if (options) said.push(await told(resolveAndList(scene, options)));
    for (const [index, text] of said.entries())
      for (const secret of secrets ?? [])
        assert.ok(
          !text.includes(secret),
          `a secret in ${['uri', 'revision', 'entries'][index] ?? 'an error'}`,
        );
  },

  'stops at once when it is told to stop': async (scene: Scene) => {
    const stopped = AbortSignal.abort(new Error('told to stop'));
    const fetcher = await scene.model(fitting(scene, TREE));
    const [entry] = await list(fetcher);
    await prompt(scene.resolve({ signal: stopped }));
    await prompt(fetcher.locate(entry!, { signal: stopped }));
    const listed = await prompt(collect(fetcher, stopped));
    assert.ok(listed instanceof Error, 'list() with an aborted signal came to its end');
    aborted(listed);
  },

  'stops at once when the source has gone silent': async (scene: Scene) => {
    if (!scene.harness.hang) skip('the harness has no hang()');
    const fetcher = await scene.model(fitting(scene, { 'a.bin': sample(100) }));
    const [entry] = await list(fetcher);
    await scene.harness.hang();
    const soon = () => AbortSignal.timeout(100);
    for (const attempt of [
      () => scene.resolve({ signal: soon() }),
      () => collect(fetcher, soon()),
      () => fetcher.locate(entry!, { signal: soon() }),
    ]) {
      const outcome = await prompt(attempt());
      // What needs no answer from the source may well succeed.
      if (outcome instanceof Error) aborted(outcome);
    }
  },

  'may be disposed of twice': async (scene: Scene) => {
    const fetcher = await scene.model(fitting(scene, TREE));
    if (!fetcher[Symbol.asyncDispose]) skip('there is nothing to dispose of');
    await fetcher[Symbol.asyncDispose]!();
    await fetcher[Symbol.asyncDispose]!();
  },
};

async function collect(fetcher: Fetcher, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const entry of fetcher.list({ signal })) if (entry.path) count++;
  return count;
}

/** What `promise` came to, an error included; not coming to anything is the failure. */
async function prompt(promise: Promise<unknown>): Promise<unknown> {
  const late = Symbol('late');
  let timer: NodeJS.Timeout | undefined;
  const clock = new Promise((resolve) => {
    timer = setTimeout(resolve, PROMPT_MS, late);
  });
  try {
    const outcome = await Promise.race([promise.catch((error: unknown) => error), clock]);
    assert.notEqual(outcome, late, `still going ${String(PROMPT_MS)} ms after the signal`);
    return outcome;
  } finally {
    clearTimeout(timer);
  }
}

/** Stopped because of the signal, not for another reason that happened to come along. */
function aborted(error: Error): void {
  const ours =
    error instanceof ModelFetchError && (error.code === 'ABORTED' || error.code === 'DEADLINE');
  const reason =
    ['AbortError', 'TimeoutError'].includes(error.name) || error.message === 'told to stop';
  assert.ok(ours || reason, `expected the abort, not ${error.name}: ${error.message}`);
}

/** Everything an error shows to people and logs. */
async function told(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return '';
  } catch (error) {
    const { message, stack, ...rest } = error as Error;
    return [message, stack, JSON.stringify(rest)].join('\n');
  }
}
