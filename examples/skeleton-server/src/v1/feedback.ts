/** Feedback: the one route that Seldon's wrapper sends through protobuf, and that therefore answers a little differently. */
import type { List } from '../array.ts';
import { ABSENT } from '../host/component.ts';
import { floatText } from '../json/python.ts';
import { SeldonResponse, type Meta, type Metric } from '../model.ts';
import type { Body } from './body.ts';
import { dataKindOf, isRecord, readData, type DataKind, type JsonObject } from './message.ts';
import { answer, callRaw, type Context } from './methods.ts';
import { checkFeedback } from './proto-schema.ts';

/** Answers a feedback. Throws `MICROSERVICE_BAD_DATA` where it is none. */
export async function sendFeedback(context: Context, { value }: Body): Promise<unknown> {
  checkFeedback(value);
  const reward = Number(value['reward'] ?? 0);
  context.metrics.updateReward(reward);
  const hooks = ['send_feedback_rest', 'send_feedback_raw'];
  const raw = await callRaw(context, hooks, { value }, 'feedback');
  if (raw !== ABSENT) return raw;
  const request = memberOf(value, 'request');
  const result = await context.component.call(
    'send_feedback',
    arrayOf(request),
    namesOf(request),
    reward,
    arrayOf(memberOf(value, 'truth')),
    routing(context, value),
  );
  return toProto(await respond(context, request, result));
}

/** No answer is an empty array. Tags and metrics of the request are not passed on. */
async function respond(
  context: Context,
  request: JsonObject,
  result: unknown,
): Promise<JsonObject> {
  const { data, tags, metrics } = SeldonResponse.from(result === ABSENT ? [] : result);
  if (typeof data === 'number' || typeof data === 'boolean')
    throw new Error('send_feedback returned neither a list, nor text, nor bytes, nor an object');
  const { puid } = memberOf(request, 'meta') as Meta;
  const whole = new SeldonResponse(data ?? [], tags, metrics);
  return answer(
    context,
    { dataKind: kindOf(request), meta: puid ? { puid } : {} },
    whole,
    'feedback',
  );
}

function memberOf(message: JsonObject, name: string): JsonObject {
  const member = message[name];
  return isRecord(member) ? member : {};
}

/** Empty without `data`; its numbers are floats, whatever they looked like. */
function arrayOf(message: JsonObject): List {
  const { data } = message;
  return isRecord(data) ? readData(narrow(data), () => asFloats(data)) : [];
}

/** A float holds no more of a large integer. */
function narrow(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(narrow);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, narrow(inner)]));
}

function asFloats(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'bigint') return floatText(Number(value));
  if (Array.isArray(value)) return value.map(asFloats);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, asFloats(inner)]));
}

function namesOf(message: JsonObject): string[] {
  const names = memberOf(message, 'data')['names'];
  return Array.isArray(names) ? (names as string[]) : [];
}

function kindOf({ data }: JsonObject): DataKind {
  return isRecord(data) ? dataKindOf(data) : undefined;
}

/** Which child answered, where this unit is a router. */
function routing({ unit }: Context, value: JsonObject): number | undefined {
  const meta = memberOf(memberOf(value, 'response'), 'meta');
  const child = memberOf(meta, 'routing')[unit.id ?? '0'];
  return child === undefined ? undefined : Number(child);
}

/** Protobuf's JSON leaves out what is empty or the default. */
function toProto(response: JsonObject): JsonObject {
  const { data, meta, ...rest } = response;
  const { metrics, ...others } = meta as Meta;
  const lean = metrics?.map(leanMetric);
  return {
    ...rest,
    ...(isRecord(data) && { data: leanData(data) }),
    meta: { ...others, ...(lean && { metrics: lean }) },
  };
}

function leanData({ names, tensor, ...rest }: JsonObject): JsonObject {
  return {
    ...rest,
    ...(isRecord(tensor) && { tensor: withoutEmpty(tensor) }),
    ...withoutEmpty({ names }),
  };
}

function leanMetric({ type, value, ...rest }: Metric): object {
  return { ...rest, ...(type !== 'COUNTER' && { type }), ...(value !== 0 && { value }) };
}

function withoutEmpty(members: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => !Array.isArray(value) || value.length > 0),
  );
}
