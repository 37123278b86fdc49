/**
 * A real API server without a cluster, pinned, in `.tools/k8s/` (which git ignores): etcd, kube-apiserver and kubectl, built
 * by Go from the modules that Kubernetes publishes. `node test/k8s/tools.ts` builds what is missing: about ten minutes the
 * first time, one package at a time and at the lowest priority, because it shares the machine.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../image/process.ts';

/** Everything `npm run test:k8s` starts. */
export type ToolName = 'etcd' | 'kube-apiserver' | 'kubectl';

/** Where a tool is, or why it is not there. */
export type Tool = { readonly path: string } | { readonly missing: string };

const TOOLS = fileURLToPath(new URL('../../.tools/k8s', import.meta.url));
const KUBERNETES = '1.34.2';
const ETCD = '3.6.5';

/** Kubernetes' own go.mod replaces these by folders of its repository; published, they are modules with versions of their own. */
const STAGED =
  `api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider cluster-bootstrap
  code-generator component-base component-helpers controller-manager cri-api cri-client csi-translation-lib
  dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy
  kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission sample-apiserver sample-cli-plugin
  sample-controller`.split(/\s+/);

interface Build {
  readonly tool: ToolName;
  readonly version: string;
  readonly module: string;
  readonly main: string;
  /** Modules that stand for others, as `name version`. */
  readonly replace?: readonly string[];
  /** Go variables to set; without them the programs believe to be version 0. */
  readonly set?: Readonly<Record<string, string>>;
}

const fromKubernetes = (tool: ToolName): Build => ({
  tool,
  version: KUBERNETES,
  module: 'k8s.io/kubernetes',
  main: `k8s.io/kubernetes/cmd/${tool}`,
  replace: STAGED.map((name) => `k8s.io/${name} v0${KUBERNETES.slice(1)}`),
  set: {
    'k8s.io/component-base/version.gitVersion': `v${KUBERNETES}`,
    'k8s.io/component-base/version.gitMajor': KUBERNETES.split('.')[0]!,
    'k8s.io/component-base/version.gitMinor': KUBERNETES.split('.')[1]!,
  },
});

const BUILDS: readonly Build[] = [
  {
    tool: 'etcd',
    version: ETCD,
    module: 'go.etcd.io/etcd/server/v3',
    main: 'go.etcd.io/etcd/server/v3',
  },
  fromKubernetes('kube-apiserver'),
  fromKubernetes('kubectl'),
];

/** Builds what is not yet there, one tool at a time. Milliseconds when all of it is. Never throws. */
export async function installTools(say: (line: string) => void): Promise<Map<ToolName, Tool>> {
  const tools = new Map<ToolName, Tool>();
  for (const build of BUILDS) tools.set(build.tool, await provide(build, say));
  return tools;
}

async function provide(build: Build, say: (line: string) => void): Promise<Tool> {
  const path = join(TOOLS, build.tool);
  const stamp = `${path}.version`;
  if ((await readFile(stamp, 'utf8').catch(() => '')) === build.version) return { path };
  say(`building ${build.tool} ${build.version} into .tools/k8s (once)`);
  try {
    await goBuild(build, path);
    await writeFile(stamp, build.version);
    return { path };
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
}

/** `go install module@version` will not do: Kubernetes' go.mod has replacements, and those count in the main module only. */
async function goBuild({ module, version, main, replace = [], set = {} }: Build, out: string) {
  const folder = `${out}.build`;
  await mkdir(folder, { recursive: true });
  const replaced = replace.map((one) => `replace ${one.split(' ')[0]!} => ${one}\n`).join('');
  await writeFile(
    join(folder, 'go.mod'),
    `module local/build\n\ngo 1.24\n\nrequire ${module} v${version}\n\n${replaced}`,
  );
  const variables = Object.entries(set).map(([name, value]) => `-X ${name}=${value}`);
  // A read-only module cache could not be removed by people who clean up with rm.
  const goFlags = [process.env['GOFLAGS'] ?? '', '-modcacherw', '-mod=mod'].join(' ').trim();
  await run(
    'nice',
    [
      '-n',
      '19',
      'go',
      'build',
      '-p',
      '1',
      '-trimpath',
      '-ldflags',
      ['-s', '-w', ...variables].join(' '),
      '-o',
      out,
      main,
    ],
    { cwd: folder, env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: goFlags } },
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tools = await installTools((line) => process.stderr.write(`${line}\n`));
  for (const [name, tool] of tools)
    process.stdout.write(
      'path' in tool ? `${name}: ${tool.path}\n` : `${name}: skipped, ${tool.missing}\n`,
    );
}
