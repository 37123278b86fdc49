/** What the command line and the environment ask for. Flags win. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { parseParameters, type Parameters } from './host/parameters.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export interface Options {
  /** `Model`, or `file.Class`. */
  readonly interfaceName: string;
  readonly parameters: Parameters;
  readonly logLevel: string;
  readonly accessLog: boolean;
  readonly host: string;
  readonly httpPort: number;
  readonly metricsPort: number;
  readonly metricsPath: string;
  readonly metricsInResponse: boolean;
  /** Of the Open Inference routes. */
  readonly modelName: string;
  readonly pidFile: string | undefined;
  /** Milliseconds a request may take; undefined: as long as it likes. */
  readonly restTimeout: number | undefined;
  /** Where a model that is given by URI goes. */
  readonly modelStore: string;
  readonly watch: boolean;
  /** Milliseconds. */
  readonly watchInterval: number;
  readonly bodyLimit: number;
  /** Milliseconds after SIGTERM until what is still open is cut off. */
  readonly drainTimeout: number;
}

/** A command line that cannot be understood. `status` is what the process should end with. */
export class UsageError extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

const SERVICE_TYPES = ['MODEL', 'ROUTER', 'TRANSFORMER', 'COMBINER', 'OUTLIER_DETECTOR'];
const LEVELS = ['DEBUG', 'INFO', 'WARNING', 'ERROR'];
const UNKNOWN = new Set(['commander.unknownOption', 'commander.excessArguments']);
const ANNOTATIONS = '/etc/podinfo/annotations';

/** Flags of Seldon's wrapper that mean nothing here, for one process serves without workers or threads. */
const WITHOUT_MEANING = [
  '--persistence [number]',
  '--tracing [boolean]',
  '--workers <number>',
  '--threads <number>',
  '--max-requests <number>',
  '--max-requests-jitter <number>',
  '--keepalive <number>',
  '--single-threaded [boolean]',
  '--grpc-port <number>',
  '--grpc-threads <number>',
  '--grpc-workers <number>',
];

type Flags = Record<string, string | boolean | number | undefined>;

/** Reads both. Throws `UsageError`, or a `MicroserviceError` for bad parameters. `args` without the program's name. */
export function readOptions(args: readonly string[], env: Env): Options {
  const { name, flags } = parseArguments(args, env);
  const accessLog = flags['accessLog'] === true || isTrue(env['GUNICORN_ACCESS_LOG']);
  return {
    interfaceName: name,
    parameters: parseParameters(
      String(flags['parameters'] ?? env['PREDICTIVE_UNIT_PARAMETERS'] ?? '[]'),
    ),
    logLevel: levelOf(flags, env),
    accessLog,
    host: String(flags['host'] ?? '0.0.0.0'),
    httpPort: portOf(
      flags['httpPort'] ??
        env['PREDICTIVE_UNIT_HTTP_SERVICE_PORT'] ??
        env['PREDICTIVE_UNIT_SERVICE_PORT'],
      9000,
    ),
    metricsPort: portOf(flags['metricsPort'] ?? env['PREDICTIVE_UNIT_METRICS_SERVICE_PORT'], 6000),
    metricsPath: env['PREDICTIVE_UNIT_METRICS_ENDPOINT'] ?? '/metrics',
    metricsInResponse:
      (env['INCLUDE_METRICS_IN_CLIENT_RESPONSE'] ?? 'true').toLowerCase() === 'true',
    modelName: String(flags['modelName'] ?? env['PREDICTIVE_UNIT_ID'] ?? name.split('.').at(-1)),
    pidFile: flags['pidfile'] === undefined ? undefined : String(flags['pidfile']),
    restTimeout: annotatedTimeout(),
    modelStore: env['MODEL_STORE'] ?? '/mnt/models',
    watch: watchOf(env['MODEL_RELOAD']),
    watchInterval: numberOf('MODEL_RELOAD_INTERVAL_MS', env['MODEL_RELOAD_INTERVAL_MS'], 1000),
    bodyLimit: numberOf('MAX_BODY_BYTES', env['MAX_BODY_BYTES'], 512 * 1024 * 1024),
    drainTimeout: numberOf('DRAIN_TIMEOUT_MS', env['DRAIN_TIMEOUT_MS'], 15_000),
  };
}

function parseArguments(args: readonly string[], env: Env): { name: string; flags: Flags } {
  const command = describeCommand();
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Seldon's wrapper ends with 255 for what it does not know, and Python's parser with 2 for what is wrong.
    const status = UNKNOWN.has(error.code) ? 255 : error.exitCode === 0 ? 0 : 2;
    throw new UsageError(error.message, status);
  }
  const name = command.args[0] ?? env['MODEL_NAME'];
  if (!name) throw new UsageError('which class? Name it, or set MODEL_NAME', 2);
  const type = env['SERVICE_TYPE'] ?? 'MODEL';
  if (!SERVICE_TYPES.includes(type)) throw new UsageError(`SERVICE_TYPE is ${type}`, 2);
  return { name, flags: command.opts() };
}

function describeCommand(): Command {
  const command = new Command('microservice')
    .description('Serves a model class over HTTP: Seldon Core v1 and Open Inference (V2).')
    .argument(
      '[interface-name]',
      'class, and file it is in without its extension (default: MODEL_NAME)',
    )
    .addOption(
      new Option(
        '--service-type <type>',
        'what the class is in a graph: all routes are served for all',
      ).choices(SERVICE_TYPES),
    )
    .option('--parameters <json>', 'for the constructor (default: PREDICTIVE_UNIT_PARAMETERS)')
    .addOption(new Option('--log-level <level>', 'SELDON_LOG_LEVEL wins').choices(LEVELS))
    .option('--debug [boolean]', 'the same as --log-level DEBUG')
    .option('--access-log', 'a line in the log for each request')
    .option('--host <address>', 'address to listen on (default: all)')
    .option('--http-port <port>', 'default: PREDICTIVE_UNIT_HTTP_SERVICE_PORT, or 9000', port)
    .option('--metrics-port <port>', 'default: PREDICTIVE_UNIT_METRICS_SERVICE_PORT, or 6000', port)
    .option('--model-name <name>', 'of the /v2 routes (default: PREDICTIVE_UNIT_ID, or the class)')
    .option('--pidfile <path>', 'where to write the process id')
    .configureOutput({ writeErr: () => undefined })
    .exitOverride();
  for (const flags of WITHOUT_MEANING)
    command.addOption(new Option(flags, 'accepted, without meaning here').hideHelp());
  return command;
}

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535');
  return value;
}

function portOf(value: unknown, fallback: number): number {
  if (value === undefined || value === '') return fallback;
  try {
    return port(String(value));
  } catch (error) {
    throw new UsageError(`${String(value)}: ${(error as Error).message}`, 2);
  }
}

function numberOf(name: string, value: string | undefined, fallback: number): number {
  if (value === undefined || value === '') return fallback;
  const number = Number(value);
  if (Number.isFinite(number) && number > 0) return number;
  throw new UsageError(`${name} is ${value}, not a number above 0`, 2);
}

function watchOf(value: string | undefined): boolean {
  if (value === 'watch') return true;
  if (value === undefined || value === '' || value === 'off') return false;
  throw new UsageError(`MODEL_RELOAD is ${value}; it may be watch or off`, 2);
}

function isTrue(value: unknown): boolean {
  return value === true || ['1', 'true', 't', 'yes'].includes(String(value ?? '').toLowerCase());
}

/** In the words of the logger. */
function levelOf(flags: Flags, env: Env): string {
  const debug = isTrue(flags['debug']) || isTrue(env['SELDON_DEBUG']) ? 'DEBUG' : undefined;
  const level = (env['SELDON_LOG_LEVEL'] ?? flags['logLevel'] ?? debug ?? 'INFO') as string;
  const name = level.toLowerCase();
  if (name === 'warning') return 'warn';
  return ['debug', 'info', 'error'].includes(name) ? name : 'info';
}

/** `seldon.io/rest-timeout`, milliseconds, in the annotations of the pod. */
function annotatedTimeout(): number | undefined {
  try {
    const found = /^seldon\.io\/rest-timeout="?(\d+)"?$/m.exec(readFileSync(ANNOTATIONS, 'utf8'));
    return found?.[1] === undefined ? undefined : Number(found[1]) || undefined;
  } catch {
    return undefined;
  }
}
