/** Whether a container of ours, as an API server would run it, agrees with the image and with the command line. */
import assert from 'node:assert/strict';
import { toPairs } from '../../src/cli/grammar.ts';
import { parseWords } from '../../src/cli/program.ts';
import { settle, unknownVariables } from '../../src/cli/settle.ts';
import { createRegistry } from '../../src/create-registry.ts';
import { parseRef } from '../../src/ref.ts';
import { IMAGE, imageFacts } from '../deploy/manifests.ts';

export interface SecurityContext {
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly readOnlyRootFilesystem?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly capabilities?: { readonly drop?: readonly string[] };
  readonly seccompProfile?: { readonly type?: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
  readonly securityContext?: SecurityContext;
  readonly terminationMessagePolicy?: string;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

export interface PodSpec {
  readonly securityContext?: SecurityContext;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly persistentVolumeClaim?: { readonly claimName: string };
  }[];
}

const registry = createRegistry();

/** The containers of a pod that run our image; throws when there is none. */
export function ours(pod: PodSpec): readonly Container[] {
  const found = [...(pod.initContainers ?? []), ...pod.containers].filter(
    ({ image }) => image === IMAGE,
  );
  assert.ok(found.length > 0, `no container runs ${IMAGE}`);
  return found;
}

/** The image is not root's, may not become root's, and needs no writable root; limits are set and suffice. */
export function assertConfined(container: Container, pod: SecurityContext = {}): void {
  const context = { ...pod, ...container.securityContext };
  assert.equal(context.runAsNonRoot, true, 'runAsNonRoot');
  assert.ok((context.runAsUser ?? imageFacts().uid) > 0, 'runAsUser');
  assert.equal(context.readOnlyRootFilesystem, true, 'readOnlyRootFilesystem');
  assert.equal(context.allowPrivilegeEscalation, false, 'allowPrivilegeEscalation');
  assert.deepEqual(context.capabilities?.drop, ['ALL'], 'capabilities');
  assert.equal(context.seccompProfile?.type, 'RuntimeDefault', 'seccompProfile');
  const { cpu, memory } = container.resources?.limits ?? {};
  assert.match(cpu ?? 'none', /^\d+$/, 'whole CPUs');
  // What the contract promises to stay below, with the file cache beside it.
  assert.ok(Number(/^(\d+)Mi$/.exec(memory ?? '')?.[1]) >= 512, `memory limit ${memory ?? ''}`);
}

/** The entrypoint is the image's; the words make sense; every URI has a scheme; every destination can be written. */
export function assertUnderstood(container: Container, pod: PodSpec): void {
  assert.equal(container.command, undefined, 'the entrypoint is the image’s own');
  const invocation = parseWords(container.args ?? [], { color: false, columns: 100 });
  assert.ok('command' in invocation && invocation.command === 'fetch', 'it fetches');
  const env = Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value]));
  assert.deepEqual(unknownVariables(env), []);
  settle('fetch', invocation.given, env);
  for (const { uri, dest } of toPairs(invocation.operands, env)) {
    const ref = parseRef(uri);
    assert.ok(registry.find(ref));
    if (ref.scheme === 'pvc') assertClaim(ref.authority, container, pod);
    const mount = mountOf(container, dest);
    assert.ok(mount && mount.readOnly !== true, `${dest} is mounted and may be written`);
  }
}

function mountOf(container: Container, path: string) {
  return container.volumeMounts?.find(({ mountPath }) =>
    `${path}/`.startsWith(mountPath.replace(/\/*$/, '/')),
  );
}

function assertClaim(claim: string, container: Container, pod: PodSpec): void {
  const mount = mountOf(container, `/mnt/pvc/${claim}`);
  const volume = pod.volumes?.find(({ name }) => name === mount?.name);
  assert.equal(volume?.persistentVolumeClaim?.claimName, claim, `${claim} is where pvc:// looks`);
}
