/** Puts it together: the model is loaded, then two ports are opened, and closed again when the work is done. */
import cors from '@fastify/cors';
import multipart from '@fastify/multipart';
import Fastify, { LogController, type FastifyInstance } from 'fastify';
import { loadClass } from './host/load-class.ts';
import { ModelHost } from './host/model-host.ts';
import { provideModel } from './host/model-uri.ts';
import type { Parameters } from './host/parameters.ts';
import { Metrics } from './metrics.ts';
import type { Env, Options } from './options.ts';
import type { Context } from './v1/methods.ts';
import { addV1 } from './v1/routes.ts';
import { addV2 } from './v2/routes.ts';

const VERSION = '0.1.0';

export interface RunningServer {
  /** Ports that are listened on. */
  readonly httpPort: number;
  readonly metricsPort: number;
  /** Takes no new connection, answers what was asked, and ends. Bounded by `drainTimeout`. */
  close(): Promise<void>;
}

/** Loads the class from `folder` and serves it. Nothing listens before `load()` is done. Throws what the model throws. */
export async function startServer(
  options: Options,
  env: Env,
  folder: string,
  signal?: AbortSignal,
): Promise<RunningServer> {
  const app = createApp(options);
  const metrics = new Metrics(env);
  const host = await startHost(options, env, folder, { app, metrics, ...(signal && { signal }) });
  const context: Omit<Context, 'component'> = {
    metrics,
    metricsInResponse: options.metricsInResponse,
    unit: { id: env['PREDICTIVE_UNIT_ID'], image: env['PREDICTIVE_UNIT_IMAGE'] },
  };
  let draining = false;
  await addRoutes(app, { host, context, options, isReady: () => !draining });
  const page = metricsApp(options, metrics);
  await app.listen({ host: options.host, port: options.httpPort });
  await page.listen({ host: options.host, port: options.metricsPort });
  return {
    httpPort: portOf(app),
    metricsPort: portOf(page),
    close: async () => {
      draining = true;
      await drain(app, options.drainTimeout);
      await page.close();
      await host[Symbol.asyncDispose]();
    },
  };
}

interface Parts {
  readonly app: FastifyInstance;
  readonly metrics: Metrics;
  readonly signal?: AbortSignal;
}

async function startHost(
  options: Options,
  env: Env,
  folder: string,
  { app, metrics, signal }: Parts,
): Promise<ModelHost> {
  const { log } = app;
  const modelClass = await loadClass(options.interfaceName, folder);
  const uri = options.parameters['model_uri'];
  const model =
    typeof uri === 'string' && uri !== ''
      ? await provideModel(uri, {
          store: options.modelStore,
          env,
          ...(signal && { signal }),
          log: (message) => log.info(message),
        })
      : undefined;
  const parameters: Parameters = {
    ...options.parameters,
    ...(model !== undefined && { model_uri: model }),
  };
  return ModelHost.start({
    modelClass,
    parameters,
    metadata: {
      image: env['PREDICTIVE_UNIT_IMAGE'],
      override: env['MODEL_METADATA'],
      log: { error: (err, message) => log.error({ err }, message) },
    },
    watched: options.watch ? model : undefined,
    interval: options.watchInterval,
    log: {
      info: (message) => log.info(message),
      error: (err, message) => log.error({ err }, message),
    },
    onReload: (succeeded) => metrics.reloads.inc({ result: succeeded ? 'done' : 'failed' }),
  });
}

function createApp({ logLevel, bodyLimit, restTimeout }: Options): FastifyInstance {
  const app = Fastify({
    logger: { level: logLevel },
    // One line a request is written below, where it is asked for: Fastify would write two.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit,
    // What was asked on an open connection while the server drains is still answered.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    ...(restTimeout !== undefined && { handlerTimeout: restTimeout }),
  });
  // The routes read bodies themselves: what a body is depends on more than its type.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  return app;
}

async function addRoutes(
  app: FastifyInstance,
  parts: {
    readonly host: ModelHost;
    readonly context: Omit<Context, 'component'>;
    readonly options: Options;
    readonly isReady: () => boolean;
  },
): Promise<void> {
  const { host, context, options, isReady } = parts;
  const { accessLog, bodyLimit, modelName } = options;
  await app.register(cors, { origin: '*', strictPreflight: false, optionsSuccessStatus: 200 });
  await app.register(multipart, { limits: { fileSize: bodyLimit, fieldSize: bodyLimit } });
  app.addHook('onSend', (_request, reply, payload, done) => {
    // Else the client keeps the connection of its last answer, and draining waits for it.
    if (!isReady()) void reply.header('connection', 'close');
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method, url } = request;
    const { statusCode: status, elapsedTime: ms } = reply;
    context.metrics.observeRequest(request.routeOptions.url ?? 'none', status, ms / 1000);
    if (accessLog) request.log.info({ method, url, status, ms }, 'request');
    done();
  });
  addV1(app, { host, context });
  addV2(app, { host, context, modelName, serverVersion: VERSION, isReady });
}

function metricsApp({ metricsPath }: Options, { registry }: Metrics): FastifyInstance {
  const app = Fastify({ logger: false });
  app.get(metricsPath, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  return app;
}

/** Requests that are being answered get their answers; connections that are still open after `timeout` are cut. */
async function drain(app: FastifyInstance, timeout: number): Promise<void> {
  const cut = setTimeout(() => {
    app.log.warn('requests are still open: their connections are cut');
    app.server.closeAllConnections();
  }, timeout);
  await app.close();
  clearTimeout(cut);
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}
