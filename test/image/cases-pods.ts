/** The init containers that KServe's webhook makes, as recorded, in the image: little memory, one CPU, nobody's home, 300 MiB. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { imageFacts } from '../deploy/manifests.ts';
import { CASES, ISTIO, KSERVE, NONROOT, RANDOM } from '../kserve/cases.ts';
import { startNode } from '../kserve/node.ts';
import { pods, SKIP } from '../kserve/vectors.ts';
import { ENTRYPOINT, type Scene } from './cases.ts';
import { runContainer, type ContainerEnd } from './container.ts';

const MIB = 1024 * 1024;
const WEIGHTS = Buffer.alloc(300 * MIB, 7);
const SMALL = 128 * MIB;
const USUAL = 256 * MIB;

/** Every recording once with little, as the user of its case; one with each user, and with what is promised. */
const RUNS: readonly { readonly name: string; readonly uid: number; readonly memory: number }[] = [
  ...Object.entries(CASES).map(([name, { uid }]) => ({ name, uid, memory: SMALL })),
  ...[KSERVE, ISTIO, NONROOT, RANDOM].map((uid) => ({ name: 's3-keys', uid, memory: USUAL })),
  { name: 'gs', uid: RANDOM, memory: USUAL },
  { name: 'https', uid: KSERVE, memory: USUAL },
];

/** Name and body of each case; a note that it answers is printed. */
export const podCases: Readonly<Record<string, (scene: Scene) => Promise<string | undefined>>> =
  SKIP === false
    ? Object.fromEntries([
        ...RUNS.map(({ name, uid, memory }) => [
          `the recorded pod ${name}: 300 MiB as user ${String(uid)} in ${String(memory / MIB)} MiB and 1 CPU`,
          (scene: Scene) => runPod(name, uid, memory, scene),
        ]),
        ['a pod with far too little memory is killed, which the cases above would see', starve],
      ])
    : { 'recorded pods': () => Promise.resolve(String(SKIP)) };

/** Without a limit that bites, `no process was killed` says nothing. */
async function starve({ image, volume }: Scene): Promise<string | undefined> {
  const { uid, gid } = imageFacts();
  const ended = await runContainer({
    rootfs: image.rootfs,
    command: [ENTRYPOINT[0]!, '--eval', 'Buffer.alloc(300e6, 1)'],
    env: {},
    mounts: [],
    uid,
    gid,
    limits: { memory: SMALL, cpu: 1 },
    terminationLog: join(volume, 'termination-log'),
  });
  if (ended.unlimited !== undefined) return ended.unlimited;
  assert.ok(ended.status !== 0 && ended.oomKills! > 0, `status ${String(ended.status)}`);
  return undefined;
}

async function runPod(
  name: string,
  uid: number,
  memory: number,
  { image }: Scene,
): Promise<string | undefined> {
  const { region, fill, env, files } = CASES[name]!;
  const cleanups: (() => unknown)[] = [];
  const node = await startNode(
    { after: (clean) => void cleanups.push(clean as () => unknown) },
    region,
  );
  let ended: ContainerEnd | undefined;
  try {
    node.weights = WEIGHTS;
    node.launch = async ({ args, env: variables, uid: user, mounts, log }) => {
      ended = await runContainer({
        rootfs: image.rootfs,
        command: [...ENTRYPOINT, ...args],
        env: variables,
        mounts,
        // The image's own user has the image's own group, others none.
        uid: user,
        gid: user === imageFacts().uid ? imageFacts().gid : 0,
        limits: { memory, cpu: 1 },
        terminationLog: log,
      });
      return { ...ended, signal: null };
    };
    await fill(node);
    const ran = await node.run(pods![name]!, { uid, ...(env && { env: await env(node) }) });
    assert.equal(ran.status, 0, ran.stderr);
    assert.equal(ended!.oomKills ?? 0, 0, 'processes killed for want of memory');
    assert.match(ran.message, /"status":"done"/);
    assert.ok(ran.stderr.endsWith(`\n${ran.message}`), 'the message is not the last line');
    for (const [place, names] of Object.entries(files))
      assert.deepEqual(await node.files(place), names, join(name, place));
    const { bytes } = JSON.parse(ran.message) as { bytes: number };
    assert.ok(bytes >= WEIGHTS.length, `only ${String(bytes)} bytes`);
    return ended!.unlimited;
  } finally {
    for (const clean of cleanups.reverse()) await clean();
  }
}
