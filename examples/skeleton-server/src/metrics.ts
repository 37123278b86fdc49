/** The metrics page: what models count themselves, with the labels of Seldon's wrapper, and the process's own. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { MicroserviceError } from './errors.ts';
import { splitImage } from './host/metadata.ts';
import type { Metric } from './model.ts';

/** The label `method`. */
export type Method =
  'predict' | 'inputtransform' | 'outputtransform' | 'router' | 'aggregate' | 'feedback' | 'health';

type Env = Readonly<Record<string, string | undefined>>;
type Series = Counter | Gauge | Histogram;

const NOT_KNOWN = 'NOT_IMPLEMENTED';
/** Seconds: fifty edges, evenly spread over the logarithms of 0.001 and 30. */
const EDGES = Array.from({ length: 50 }, (_, i) => 10 ** (-3 + (i * (Math.log10(30) + 3)) / 49));
const KINDS = new Set(['COUNTER', 'GAUGE', 'TIMER']);

export class Metrics {
  readonly registry = new Registry();
  readonly reloads: Counter;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #series = new Map<string, { series: Series; labelNames: readonly string[] }>();
  readonly #seconds: Histogram;

  constructor(env: Env) {
    this.#labels = commonLabels(env);
    collectDefaultMetrics({ register: this.registry });
    this.reloads = new Counter({
      name: 'microservice_reloads_total',
      help: 'Versions of the model that were loaded while serving, or could not be',
      labelNames: ['result'],
      registers: [this.registry],
    });
    this.#seconds = new Histogram({
      name: 'microservice_request_seconds',
      help: 'From the head of a request to the end of its answer',
      labelNames: ['route', 'status'],
      registers: [this.registry],
    });
  }

  observeRequest(route: string, status: number, seconds: number): void {
    this.#seconds.observe({ route, status }, seconds);
  }

  /** Takes over what a hook returned, and gives what goes into a response. Throws `MICROSERVICE_BAD_METRIC`, and takes nothing, where it is no metric. */
  update(metrics: unknown, method: Method): readonly Metric[] {
    if (!Array.isArray(metrics) || !metrics.every(isMetric)) throw badMetric(metrics);
    for (const metric of metrics) this.#record(metric, method);
    // As in Seldon, tags that a metric has tell the method, too, in the response.
    return metrics.map((one) => (one.tags ? { ...one, tags: { ...one.tags, method } } : one));
  }

  /** A feedback without a reward is not counted, as in Seldon. */
  updateReward(reward: number): void {
    if (!reward) return;
    this.#record({ type: 'COUNTER', key: 'seldon_api_model_feedback', value: 1 }, 'feedback');
    this.#record(
      { type: 'COUNTER', key: 'seldon_api_model_feedback_reward', value: reward },
      'feedback',
    );
  }

  #record(metric: Metric, method: Method): void {
    const { type, value, tags = {} } = metric;
    const labels = { ...tags, ...this.#labels, method };
    try {
      const series = this.#find(metric, Object.keys(labels));
      if (type === 'COUNTER') (series as Counter).inc(labels, value);
      else if (type === 'GAUGE') (series as Gauge).set(labels, value);
      else (series as Histogram).observe(labels, value / 1000);
    } catch (error) {
      throw badMetric(metric, error);
    }
  }

  /** A label that was not there before begins the series anew: Prometheus reads that as a restart. */
  #find({ type, key }: Metric, labelNames: readonly string[]): Series {
    const name = type === 'COUNTER' && !key.endsWith('_total') ? `${key}_total` : key;
    const known = this.#series.get(`${type} ${name}`);
    if (known && labelNames.every((one) => known.labelNames.includes(one))) return known.series;
    const names = [...new Set([...(known?.labelNames ?? []), ...labelNames])];
    if (known) this.registry.removeSingleMetric(name);
    const settings = {
      name,
      help: 'Counted by the model',
      labelNames: names,
      registers: [this.registry],
    };
    const series =
      type === 'COUNTER'
        ? new Counter(settings)
        : type === 'GAUGE'
          ? new Gauge(settings)
          : new Histogram({ ...settings, buckets: EDGES });
    this.#series.set(`${type} ${name}`, { series, labelNames: names });
    return series;
  }
}

function isMetric(metric: unknown): metric is Metric {
  if (typeof metric !== 'object' || metric === null) return false;
  const { key, type, value } = metric as Partial<Metric>;
  return typeof key === 'string' && KINDS.has(type ?? '') && typeof value === 'number';
}

function badMetric(metrics: unknown, cause?: unknown): MicroserviceError {
  return new MicroserviceError(
    `Bad metric created during request: ${JSON.stringify(metrics) ?? 'nothing'}`,
    { status: 500, reason: 'MICROSERVICE_BAD_METRIC', ...(cause !== undefined && { cause }) },
  );
}

function commonLabels(env: Env): Record<string, string> {
  const deployment = env['SELDON_DEPLOYMENT_ID'] ?? NOT_KNOWN;
  const [image, version] = splitImage(env['PREDICTIVE_UNIT_IMAGE'] ?? `${NOT_KNOWN}:${NOT_KNOWN}`);
  return {
    deployment_name: deployment,
    model_name: env['PREDICTIVE_UNIT_ID'] ?? NOT_KNOWN,
    model_image: image,
    model_version: version,
    predictor_name: env['PREDICTOR_ID'] ?? NOT_KNOWN,
    predictor_version: predictorVersion(env['PREDICTOR_LABELS']),
    seldon_deployment_name: deployment,
    image_name: image,
    image_version: version,
    worker_id: String(process.pid),
  };
}

function predictorVersion(labels: string | undefined): string {
  try {
    const { version } = JSON.parse(labels ?? '{}') as { version?: unknown };
    return typeof version === 'string' ? version : NOT_KNOWN;
  } catch {
    return NOT_KNOWN;
  }
}
