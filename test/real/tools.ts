/**
 * The real servers and the oracle, pinned, in `.tools/` (which git ignores): nothing is installed elsewhere on the
 * machine but Go's and pip's own caches and apt's lists. `node test/real/tools.ts` installs what is missing and says what could not be had.
 */
import { spawn } from 'node:child_process';
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOOLS = join(ROOT, '.tools');
const GO_BIN = join(TOOLS, 'bin');
const VENV = join(TOOLS, 'py');
const DEBIAN = join(TOOLS, 'debian');
const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));

/** Everything `npm run test:real` can start, and the interpreter that has boto3 and KServe's package. */
export type ToolName =
  | 'minio'
  | 'versitygw'
  | 'fake-gcs-server'
  | 'rclone'
  | 's5cmd'
  | 'moto_server'
  | 'python'
  | 'tinyproxy'
  | 'libfaketime'
  | 'libnss_wrapper'
  | 'openssl'
  | 'nginx';

/** Where a tool is, or why it is not there. */
export type Tool = { readonly path: string } | { readonly missing: string };

const GO_TOOLS: readonly { name: ToolName; module: string; version: string }[] = [
  { name: 'versitygw', module: 'github.com/versity/versitygw/cmd/versitygw', version: 'v1.8.0' },
  { name: 'fake-gcs-server', module: 'github.com/fsouza/fake-gcs-server', version: 'v1.56.1' },
  // MinIO's releases are no semantic versions, so Go knows this one by its commit.
  {
    name: 'minio',
    module: 'github.com/minio/minio',
    version: 'v0.0.0-20260212201848-7aac2a2c5b7c',
  },
];
/**
 * Debian packages that need the C library only. They are unpacked and not installed: no root, no service that starts by
 * itself. The two libraries are preloaded: another time of day, and names that only one process can resolve.
 */
const DEBIAN_TOOLS: readonly { name: ToolName; package: string; file: string }[] = [
  { name: 'tinyproxy', package: 'tinyproxy-bin', file: 'usr/bin/tinyproxy' },
  { name: 'libfaketime', package: 'libfaketime', file: 'usr/lib/*/faketime/libfaketime.so.1' },
  { name: 'libnss_wrapper', package: 'libnss-wrapper', file: 'usr/lib/*/libnss_wrapper.so' },
];
const PYTHON_TOOLS: readonly ToolName[] = ['rclone', 's5cmd', 'moto_server', 'python'];

/** Installs what is not yet there, one build at a time. Minutes the first time, milliseconds afterwards. Never throws. */
export async function installTools(say: (line: string) => void): Promise<Map<ToolName, Tool>> {
  await mkdir(join(TOOLS, 'versions'), { recursive: true });
  const tools = new Map<ToolName, Tool>();
  const requirements = await readFile(REQUIREMENTS, 'utf8');
  const venv = await once('py', requirements, say, installPython);
  for (const name of PYTHON_TOOLS)
    tools.set(name, venv ? { missing: venv } : { path: join(VENV, 'bin', name) });
  for (const { name, module, version } of GO_TOOLS) {
    const missing = await once(name, version, say, () => goInstall(`${module}@${version}`));
    tools.set(name, missing ? { missing } : { path: join(GO_BIN, name) });
  }
  for (const tool of DEBIAN_TOOLS) {
    const missing = await once(tool.package, 'unpacked', say, () => unpackDebian(tool.package));
    tools.set(tool.name, missing ? { missing } : await unpacked(tool));
  }
  for (const [name, question] of [
    ['openssl', 'version'],
    ['nginx', '-v'],
  ] as const) {
    const missing = await run(name, [question]).catch((error: unknown) => String(error));
    tools.set(name, missing ? { missing } : { path: name });
  }
  return tools;
}

/** Runs `install` unless this version stands already; answers why it failed, or nothing. */
async function once(
  name: string,
  version: string,
  say: (line: string) => void,
  install: () => Promise<void>,
): Promise<string | undefined> {
  const stamp = join(TOOLS, 'versions', name);
  if ((await readFile(stamp, 'utf8').catch(() => '')) === version) return undefined;
  say(`installing ${name} into .tools (once)`);
  try {
    await install();
    await writeFile(stamp, version);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function installPython(): Promise<void> {
  await run('python3', ['-m', 'venv', VENV]);
  await run(join(VENV, 'bin', 'pip'), ['install', '--quiet', '--requirement', REQUIREMENTS]);
}

/** From Debian's own archive, whose lists may have to be fetched first. */
async function unpackDebian(name: string): Promise<void> {
  await mkdir(DEBIAN, { recursive: true });
  const folder = await mkdtemp(join(DEBIAN, 'download-'));
  try {
    const download = (): Promise<void> => run('apt-get', ['download', name], {}, folder);
    await download().catch(async () => {
      await run('apt-get', ['update']);
      await download();
    });
    const [file] = await Array.fromAsync(glob('*.deb', { cwd: folder }));
    if (file === undefined) throw new Error(`apt-get brought no ${name}`);
    await run('dpkg-deb', ['-x', join(folder, file), join(DEBIAN, name)]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function unpacked(tool: (typeof DEBIAN_TOOLS)[number]): Promise<Tool> {
  const root = join(DEBIAN, tool.package);
  const [file] = await Array.fromAsync(glob(tool.file, { cwd: root }));
  return file === undefined
    ? { missing: `${root} has no ${tool.file}` }
    : { path: join(root, file) };
}

async function goInstall(target: string): Promise<void> {
  // A read-only module cache could not be removed by people who clean up with rm.
  const flags = [process.env['GOFLAGS'] ?? '', '-modcacherw'].join(' ').trim();
  await run('go', ['install', target], { CGO_ENABLED: '0', GOBIN: GO_BIN, GOFLAGS: flags });
}

function run(
  command: string,
  args: string[],
  env: Record<string, string> = {},
  cwd = TOOLS,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    child.stderr
      .setEncoding('utf8')
      .on('data', (chunk: string) => (text = (text + chunk).slice(-2000)));
    child.on('error', (error) => {
      reject(new Error(`${command} is not to be had: ${error.message}`));
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(
            `${command} ${args[0] ?? ''} failed (${String(code)}): ${text.trim().split('\n').at(-1) ?? ''}`,
          ),
        );
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tools = await installTools((line) => process.stderr.write(`${line}\n`));
  for (const [name, tool] of tools)
    process.stdout.write(
      'path' in tool ? `${name}: ${tool.path}\n` : `${name}: skipped, ${tool.missing}\n`,
    );
}
