/** Seldon's REST routes. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorBody, MicroserviceError } from '../errors.ts';
import type { ModelHost } from '../host/model-host.ts';
import { dump } from '../json/dump.ts';
import { readBody, type Body } from './body.ts';
import { sendFeedback } from './feedback.ts';
import { isRecord } from './message.ts';
import {
  aggregate,
  healthStatus,
  predict,
  route,
  transformInput,
  transformOutput,
  type Context,
} from './methods.ts';
import { openApi } from './openapi.ts';

export interface V1Settings {
  readonly host: ModelHost;
  readonly context: Omit<Context, 'component'>;
}

type Work = (context: Context, body: Body) => Promise<unknown>;

/** Registers the routes, and the answers to everything that goes wrong on them. */
export function addV1(app: FastifyInstance, { host, context }: V1Settings): void {
  const serve = (paths: readonly string[], work: Work): void => {
    for (const path of paths) {
      app.route({
        method: path.startsWith('/api/') ? ['POST'] : ['GET', 'POST'],
        url: path,
        handler: async (request, reply) => {
          const body = await readBody(request);
          const response = await host.use(({ component }) => work({ ...context, component }, body));
          return send(reply, response, work === predict ? statusOf(response) : 200);
        },
      });
    }
  };
  serve(['/predict', '/api/v1.0/predictions', '/api/v0.1/predictions'], predict);
  serve(['/send-feedback', '/api/v1.0/feedback', '/api/v0.1/feedback'], sendFeedback);
  serve(['/transform-input'], transformInput);
  serve(['/transform-output'], transformOutput);
  serve(['/route'], route);
  serve(['/aggregate'], aggregate);
  addReads(app, { host, context });
  app.setErrorHandler(sendError);
  app.setNotFoundHandler((request, reply) =>
    sendError(new Error(`404 Not Found: ${request.method} ${request.url}`), request, reply),
  );
}

function addReads(app: FastifyInstance, { host, context }: V1Settings): void {
  app.get('/health/ping', (_request, reply) => reply.type('text/html; charset=utf-8').send('pong'));
  app.get('/seldon.json', (_request, reply) => send(reply, openApi));
  for (const prefix of ['', '/api/v1.0']) {
    app.get(`${prefix}/health/status`, async (_request, reply) =>
      send(reply, await host.use(({ component }) => healthStatus({ ...context, component }))),
    );
    app.get(`${prefix}/metadata`, (_request, reply) => {
      const { metadata } = host.current;
      if (metadata) return send(reply, metadata);
      const reason = 'MICROSERVICE_BAD_METADATA';
      throw new MicroserviceError('Model metadata unavailable', { status: 500, reason });
    });
  }
}

/** A raw answer may carry its own HTTP status. */
function statusOf(response: unknown): number {
  const status = isRecord(response) ? response['status'] : undefined;
  const code = isRecord(status) ? status['code'] : undefined;
  return Number.isInteger(code) ? (code as number) : 200;
}

function send(reply: FastifyReply, response: unknown, status = 200): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/json')
    .serializer(String)
    .send(`${dump(response)}\n`);
}

/** Whatever is not a `MicroserviceError`, a route that is not there included, is an internal error. */
function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = error instanceof MicroserviceError ? error : undefined;
  const info = error instanceof Error ? error.message : String(error);
  request.log.error({ err: error }, info);
  const body = errorBody(info, known?.reason ?? 'MICROSERVICE_INTERNAL_ERROR');
  return send(reply, body, known?.status ?? 500);
}
