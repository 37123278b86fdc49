/** The class an author writes. Every hook is optional, may be async, and may have its camelCase or snake_case name. */
import type { List, Tensor } from './array.ts';

export type Tags = Readonly<Record<string, unknown>>;

/** A value for the metrics page; in the response too, unless `INCLUDE_METRICS_IN_CLIENT_RESPONSE` is false. */
export interface Metric {
  readonly type: 'COUNTER' | 'GAUGE' | 'TIMER';
  readonly key: string;
  /** Of a timer: milliseconds. */
  readonly value: number;
  /** Labels. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** What came with a request beside its payload. */
export interface Meta {
  readonly puid?: string;
  readonly tags?: Tags;
  readonly metrics?: readonly Metric[];
  readonly routing?: Readonly<Record<string, number>>;
  readonly requestPath?: Readonly<Record<string, string>>;
  readonly [other: string]: unknown;
}

/** Nested arrays (`data`), any JSON (`jsonData`), text (`strData`) or bytes (`binData`). */
export type Payload = List | Tensor | string | Uint8Array | Readonly<Record<string, unknown>>;

/** A result with tags and metrics of this one request. */
export class SeldonResponse {
  readonly data: unknown;
  readonly tags: Tags;
  readonly metrics: readonly Metric[];

  constructor(data: unknown, tags: Tags = {}, metrics: readonly Metric[] = []) {
    this.data = data;
    this.tags = tags;
    this.metrics = metrics;
  }

  /** `value` as a response. One from another copy of this file counts, too. */
  static from(value: unknown): SeldonResponse {
    if (value instanceof SeldonResponse) return value;
    if (typeof value === 'object' && value?.constructor.name === 'SeldonResponse') {
      const { data, tags, metrics } = value as Partial<SeldonResponse>;
      return new SeldonResponse(data, tags ?? {}, metrics ?? []);
    }
    return new SeldonResponse(value);
  }
}

/** What `/metadata` tells. `inputs` and `outputs` as Seldon's (`messagetype`, `schema`) or Open Inference's (`name`, `datatype`, `shape`). */
export interface ModelMetadata {
  readonly name?: string;
  readonly versions?: readonly string[];
  readonly platform?: string;
  readonly inputs?: readonly Readonly<Record<string, unknown>>[];
  readonly outputs?: readonly Readonly<Record<string, unknown>>[];
  readonly custom?: Readonly<Record<string, string>>;
}

type Answer<T> = T | SeldonResponse | Promise<T | SeldonResponse>;
type Predict = (x: never, names: string[], meta?: Meta) => Answer<unknown>;

/** For `implements`, where a class wants to be checked. `x` is what the payload was, see `Payload`. */
export interface Model {
  load?(): void | Promise<void>;
  /** After a reload, when the last request of this instance was answered. */
  unload?(): void | Promise<void>;
  predict?: Predict;
  transformInput?: Predict;
  transformOutput?: Predict;
  /** The index of the child that a request goes to. */
  route?(x: never, names: string[], meta?: Meta): Answer<number>;
  aggregate?(xs: never[], names: string[][]): Answer<unknown>;
  sendFeedback?(
    x: never,
    names: string[],
    reward: number,
    truth: never,
    routing: number | undefined,
  ): Answer<unknown>;
  healthStatus?(): Answer<unknown>;
  tags?(): Tags | Promise<Tags>;
  metrics?(): readonly Metric[] | Promise<readonly Metric[]>;
  classNames?(): readonly string[] | Promise<readonly string[]>;
  initMetadata?(): ModelMetadata | Promise<ModelMetadata>;
}
