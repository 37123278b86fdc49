/**
 * Load on one server over loopback: `npm run bench [-- SECONDS]`. The client, autocannon, runs on the same machine and
 * takes its share of it, so the figures are lower bounds. Prints a table for the README.
 */
import autocannon from 'autocannon';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const MODELS = fileURLToPath(new URL('../models', import.meta.url));
const CONNECTIONS = 16;
const WARM_UP_SECONDS = 2;
const LONGEST_SECONDS = 60;

interface Load {
  readonly name: string;
  readonly model: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const seconds = Math.min(Number(process.argv[2] ?? 8), LONGEST_SECONDS);
const flower = [5.1, 3.5, 1.4, 0.2];
const flowers = Array.from({ length: 1000 }, () => flower);
const json = { 'content-type': 'application/json' };
const v1 = (model: string, rows: readonly number[][]): Omit<Load, 'name'> => ({
  model,
  path: '/api/v1.0/predictions',
  headers: json,
  body: Buffer.from(JSON.stringify({ data: { ndarray: rows } })),
});

const loads: readonly Load[] = [
  { name: 'skeleton, one row', ...v1('Model', [flower]) },
  { name: 'iris (ONNX), one row', ...v1('Iris', [flower]) },
  { name: 'iris (ONNX), 1,000 rows', ...v1('Iris', flowers) },
  {
    name: 'iris (ONNX), 1,000 rows, V2 binary',
    model: 'Iris',
    path: '/v2/models/Iris/infer',
    ...binary(),
  },
];

const cpu = cpus();
console.log(
  `${cpu.length} cores of ${cpu[0]?.model}, Node ${process.version}, ${CONNECTIONS} connections, ${seconds} s each\n`,
);
console.log(
  '| load | requests/s | p50 ms | p99 ms | CPU ms a request | failed |\n| --- | --- | --- | --- | --- | --- |',
);
for (const load of loads) console.log(await measure(load));
console.log(`\nload average at the end: ${loadavg()[0]?.toFixed(1)}`);

function binary(): Pick<Load, 'headers' | 'body'> {
  const tensor = Buffer.from(Float32Array.from(flowers.flat()).buffer);
  const parameters = { binary_data_size: tensor.length };
  const input = { name: 'X', shape: [flowers.length, 4], datatype: 'FP32', parameters };
  const head = JSON.stringify({ parameters: { binary_data_output: true }, inputs: [input] });
  return {
    headers: { 'inference-header-content-length': String(Buffer.byteLength(head)) },
    body: Buffer.concat([Buffer.from(head), tensor]),
  };
}

async function measure({ name, model, path, headers, body }: Load): Promise<string> {
  const { child, url } = await start(model);
  try {
    const options = {
      url: url + path,
      method: 'POST',
      headers,
      body,
      connections: CONNECTIONS,
    } as const;
    await autocannon({ ...options, duration: WARM_UP_SECONDS });
    const before = cpuMs(child);
    const { requests, latency, errors, non2xx } = await autocannon({
      ...options,
      duration: seconds,
    });
    const cpu = (cpuMs(child) - before) / requests.total;
    const figures = [Math.round(requests.average), latency.p50, latency.p99].map((one) =>
      one.toLocaleString('en'),
    );
    return `| ${name} | ${[...figures, cpu.toFixed(2), errors + non2xx].join(' | ')} |`;
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

/** Of the server, in user and system mode: what other programs on the machine take is not in it. Linux only. */
function cpuMs({ pid }: ChildProcess): number {
  const ticks = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(ticks[11]) + Number(ticks[12])) * 10;
}

async function start(model: string): Promise<{ child: ChildProcess; url: string }> {
  const ports = ['--host', '127.0.0.1', '--http-port', '0', '--metrics-port', '0'];
  const child = spawn(process.execPath, [MAIN, model, ...ports], {
    cwd: MODELS,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const chunk of child.stdout) {
    output += String(chunk);
    const url = /listening at (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
    if (url) return { child, url };
  }
  throw new Error(`${model} did not start: ${output}`);
}
