/** What each route does with a message: the raw hook, else the hook between reading and building. */
import { MicroserviceError } from '../errors.ts';
import { ABSENT, type Component } from '../host/component.ts';
import { repr } from '../json/python.ts';
import type { Method, Metrics } from '../metrics.ts';
import { SeldonResponse, type Meta, type Metric, type Tags } from '../model.ts';
import type { Body } from './body.ts';
import { element, invalid, isRecord, readMessage, type Message } from './message.ts';
import { buildResponse, type Unit } from './response.ts';

/** What the methods work with; one for a server's life, but for the component. */
export interface Context {
  readonly component: Component;
  readonly metrics: Metrics;
  readonly unit: Unit;
  /** `INCLUDE_METRICS_IN_CLIENT_RESPONSE`. */
  readonly metricsInResponse: boolean;
}

type Answer = Promise<unknown>;

/** Without the hook: an empty answer. */
export async function predict(context: Context, body: Body): Answer {
  const raw = await callRaw(context, ['predict_rest', 'predict_raw'], body, 'predict');
  if (raw !== ABSENT) return raw;
  const message = readMessage(body);
  const { payload, names, meta } = message;
  const value = await context.component.call('predict', payload, names, meta);
  return answer(context, message, value === ABSENT ? [] : value, 'predict');
}

/** Without the hook: the payload as it came. */
export async function transformInput(context: Context, body: Body): Answer {
  return transform(context, body, 'transform_input', 'inputtransform');
}

/** Without the hook: the payload as it came. */
export async function transformOutput(context: Context, body: Body): Answer {
  return transform(context, body, 'transform_output', 'outputtransform');
}

async function transform(context: Context, body: Body, hook: string, method: Method): Answer {
  const raw = await callRaw(context, [`${hook}_rest`, `${hook}_raw`], body, method);
  if (raw !== ABSENT) return raw;
  const message = readMessage(body);
  const { payload, names, meta } = message;
  const value = await context.component.call(hook, payload, names, meta);
  return answer(context, message, value === ABSENT ? payload : value, method);
}

/** The index of a child as `[[n]]`. */
export async function route(context: Context, body: Body): Answer {
  const raw = await callRaw(context, ['route_rest', 'route_raw'], body, 'router');
  if (raw !== ABSENT) return raw;
  const message = readMessage(body);
  const value = await context.component.call('route', message.payload, message.names, message.meta);
  if (value === ABSENT) throw new MicroserviceError('Route not defined');
  const { data, tags, metrics } = SeldonResponse.from(value);
  if (!Number.isInteger(data) && typeof data !== 'boolean')
    throw new MicroserviceError(`Routing response must be int but got ${repr(data)}`);
  // Tags, metrics and path of the request are not passed on here.
  const { puid } = message.meta;
  const meta: Meta = puid ? { puid } : {};
  const routed = new SeldonResponse([[Number(data)]], tags, metrics);
  return answer(context, { ...message, meta }, routed, 'router');
}

/** Of a list of messages, or of `seldonMessages`. */
export async function aggregate(context: Context, body: Body): Answer {
  const raw = await callRaw(context, ['aggregate_rest', 'aggregate_raw'], body, 'aggregate');
  if (raw !== ABSENT) return raw;
  const messages = elements(body).map(readMessage);
  const value = await context.component.call(
    'aggregate',
    messages.map(({ payload }) => payload),
    messages.map(({ names }) => names),
  );
  if (value === ABSENT) throw new MicroserviceError('Aggregate not defined');
  const [first] = messages;
  if (!first) throw new Error('there is nothing to aggregate');
  return answer(context, { ...first, meta: mergeMeta(first, messages) }, value, 'aggregate');
}

function elements(body: Body): Body[] {
  const { value } = body;
  const prefix = Array.isArray(value) ? [] : ['seldonMessages'];
  const list: unknown = isRecord(value) ? value['seldonMessages'] : value;
  if (!Array.isArray(list)) throw invalid(value);
  return list.map((_, index) => element(body, [...prefix, index]));
}

/** Tags, paths and metrics of all; puid of the first. */
function mergeMeta({ meta: first }: Message, messages: readonly Message[]): Meta {
  return {
    ...first,
    tags: Object.assign({}, ...messages.map(({ meta }) => meta.tags)) as Tags,
    requestPath: Object.assign({}, ...messages.map(({ meta }) => meta.requestPath)) as NonNullable<
      Meta['requestPath']
    >,
    metrics: messages.flatMap(({ meta }) => meta.metrics ?? []),
  };
}

/** What the model says of its health, or `healthy`. */
export async function healthStatus(context: Context): Answer {
  const raw = await context.component.call('health_status_raw');
  if (raw !== ABSENT) return raw;
  const value = await context.component.call('health_status');
  const message: Message = { payload: undefined, names: [], dataKind: undefined, meta: {} };
  return answer(context, message, value === ABSENT ? 'healthy' : value, 'health');
}

/** Calls the first of `hooks` that is there with the message as it came, and counts the metrics of its answer. */
export async function callRaw(
  { component, metrics, metricsInResponse }: Context,
  hooks: readonly string[],
  { value }: Pick<Body, 'value'>,
  method: Method,
): Answer {
  for (const hook of hooks) {
    const response = await component.call(hook, value);
    if (response === ABSENT) continue;
    const meta = isRecord(response) ? response['meta'] : undefined;
    if (!isRecord(meta) || meta['metrics'] === undefined) return response;
    metrics.update(meta['metrics'], method);
    if (metricsInResponse) return response;
    return { ...(response as object), meta: { ...meta, metrics: undefined } };
  }
  return ABSENT;
}

/** Builds the response to `message`, with the model's tags and metrics. */
export async function answer(
  context: Context,
  { dataKind, meta }: Pick<Message, 'dataKind' | 'meta'>,
  value: unknown,
  method: Method,
): Promise<Record<string, unknown>> {
  const { component, unit } = context;
  const { data, tags, metrics } = SeldonResponse.from(value);
  const counted = await collectMetrics(context, metrics, method);
  return buildResponse(data, {
    component,
    unit,
    dataKind,
    meta,
    ...(meta.tags && { tags: meta.tags }),
    metrics: [...(meta.metrics ?? []), ...counted],
    runtimeTags: tags,
  });
}

/** Counts the model's metrics and those of this answer; gives those that go into the response. */
export async function collectMetrics(
  { component, metrics, metricsInResponse }: Context,
  runtime: readonly Metric[],
  method: Method,
): Promise<readonly Metric[]> {
  const countedRuntime = metrics.update(runtime, method);
  const own = await component.call('metrics');
  if (own === ABSENT) return metricsInResponse ? countedRuntime : [];
  const counted = metrics.update(own, method);
  return metricsInResponse ? [...counted, ...countedRuntime] : [];
}
