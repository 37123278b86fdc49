/** The Open Inference protocol (V2): https://kserve.github.io/website, "V2 protocol" and its "binary tensor data extension". */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MicroserviceError } from '../errors.ts';
import { ABSENT } from '../host/component.ts';
import type { Metadata } from '../host/metadata.ts';
import type { ModelHost, Serving } from '../host/model-host.ts';
import { dump } from '../json/dump.ts';
import { SeldonResponse, type Tags } from '../model.ts';
import { collectMetrics, type Context } from '../v1/methods.ts';
import { readInference, type InferenceRequest } from './request.ts';
import { writeInference } from './response.ts';

export interface V2Settings {
  readonly host: ModelHost;
  readonly context: Omit<Context, 'component'>;
  readonly modelName: string;
  readonly serverVersion: string;
  /** False while the server drains. */
  readonly isReady: () => boolean;
}

interface Named {
  readonly Params: { readonly model: string; readonly version?: string };
}

const HEADER_LENGTH = 'inference-header-content-length';

/** Registers what lies below `/v2`, with errors as that protocol has them. */
export function addV2(app: FastifyInstance, settings: V2Settings): void {
  app.register(
    (v2, _options, done) => {
      v2.setErrorHandler(sendError);
      v2.setNotFoundHandler((request, reply) => sendError(notFound(request.url), request, reply));
      addHealth(v2, settings);
      for (const path of ['/models/:model', '/models/:model/versions/:version'])
        addModel(v2, path, settings);
      done();
    },
    { prefix: '/v2' },
  );
}

function addHealth(app: FastifyInstance, { serverVersion, isReady }: V2Settings): void {
  const server = {
    name: 'skeleton-server',
    version: serverVersion,
    extensions: ['binary_tensor_data'],
  };
  app.get('/', (_request, reply) => send(reply, server));
  app.get('/health/live', (_request, reply) => send(reply, { live: true }));
  app.get('/health/ready', (_request, reply) =>
    send(reply, { ready: isReady() }, isReady() ? 200 : 503),
  );
}

function addModel(app: FastifyInstance, path: string, settings: V2Settings): void {
  const { host, modelName, isReady } = settings;
  app.get<Named>(path, (request, reply) => {
    const { versions, platform, inputs, outputs } = metadataOf(
      request.params,
      host.current,
      modelName,
    );
    const tensors = (list: Metadata['inputs']): Metadata['inputs'] =>
      list.filter(({ messagetype }) => messagetype === undefined);
    return send(reply, {
      name: modelName,
      versions: versions.filter((one) => one !== ''),
      platform,
      inputs: tensors(inputs),
      outputs: tensors(outputs),
    });
  });
  app.get<Named>(`${path}/ready`, (request, reply) => {
    metadataOf(request.params, host.current, modelName);
    return send(reply, { name: modelName, ready: isReady() }, isReady() ? 200 : 503);
  });
  app.post<Named>(`${path}/infer`, (request, reply) =>
    host.use(async (serving) => {
      const metadata = metadataOf(request.params, serving, modelName);
      const inference = readInference(bodyOf(request), headerOf(request));
      const { body, headerLength } = await infer(inference, serving, metadata, settings);
      if (headerLength !== undefined) void reply.header(HEADER_LENGTH, headerLength);
      return reply
        .header(
          'content-type',
          headerLength === undefined ? 'application/json' : 'application/octet-stream',
        )
        .send(body);
    }),
  );
}

/** One input is the model's `X`; several are an object of arrays, with their names in the second place. */
async function infer(
  request: InferenceRequest,
  { component }: Serving,
  metadata: Metadata,
  { context, modelName }: V2Settings,
): Promise<ReturnType<typeof writeInference>> {
  const { id, parameters, inputs } = request;
  const single = inputs.size === 1;
  const x: unknown = single ? [...inputs.values()][0] : Object.fromEntries(inputs);
  const meta = { ...(id !== undefined && { puid: id }), parameters };
  const result = await component.call('predict', x, single ? [] : [...inputs.keys()], meta);
  if (result === ABSENT) throw new MicroserviceError('the model has no predict', { status: 501 });
  const { data, tags, metrics } = SeldonResponse.from(result);
  await collectMetrics({ ...context, component }, metrics, 'predict');
  const own = await component.call('tags');
  return writeInference(data, {
    modelName,
    modelVersion: metadata.versions[0],
    request,
    parameters: { ...(own !== ABSENT && (own as Tags)), ...tags },
    declared: metadata.outputs,
  });
}

/** Of the model that the path names. Throws with 404 where there is none of that name or version. */
function metadataOf(
  { model, version }: Named['Params'],
  { metadata }: Serving,
  name: string,
): Metadata {
  if (model !== name) throw notFound(`model ${model}`);
  if (!metadata) throw new MicroserviceError('Model metadata unavailable', { status: 500 });
  if (version !== undefined && !metadata.versions.includes(version))
    throw notFound(`model ${model}, version ${version}`);
  return metadata;
}

function notFound(what: string): MicroserviceError {
  return new MicroserviceError(`${what}: not found`, { status: 404 });
}

function bodyOf({ body }: FastifyRequest): Buffer {
  if (Buffer.isBuffer(body)) return body;
  throw new MicroserviceError('the request has no body');
}

function headerOf({ headers }: FastifyRequest): string | undefined {
  const value = headers[HEADER_LENGTH];
  return Array.isArray(value) ? value[0] : value;
}

function send(reply: FastifyReply, response: unknown, status = 200): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/json')
    .serializer(String)
    .send(dump(response, 'null'));
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const message = error instanceof Error ? error.message : String(error);
  request.log.error({ err: error }, message);
  return send(reply, { error: message }, error instanceof MicroserviceError ? error.status : 500);
}
