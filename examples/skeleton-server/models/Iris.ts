/** A real model: an ONNX classifier of iris flowers, in the directory that `model_uri` names. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ort from 'onnxruntime-node';
import {
  describe,
  flatten,
  MicroserviceError,
  Tensor,
  type List,
  type Model,
} from '../src/index.ts';
import type { ModelMetadata } from '../src/index.ts';

/** What comes with the repository, for a first try. */
const OWN = fileURLToPath(new URL('../../../fixtures/models/iris-onnx/1', import.meta.url));
const FEATURES = ['sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)'];

export class Iris implements Model {
  readonly #directory: string;
  readonly #threads: number;
  #session: ort.InferenceSession | undefined;
  #labels: string[] = [];

  /** `threads`: how many a single request may use. */
  constructor({
    model_uri: directory = OWN,
    threads = 1,
  }: {
    model_uri?: string;
    threads?: number;
  }) {
    this.#directory = directory;
    this.#threads = threads;
  }

  async load(): Promise<void> {
    this.#session = await ort.InferenceSession.create(join(this.#directory, 'model.onnx'), {
      intraOpNumThreads: this.#threads,
    });
    this.#labels = JSON.parse(
      await readFile(join(this.#directory, 'labels.json'), 'utf8'),
    ) as string[];
  }

  async unload(): Promise<void> {
    await this.#session?.release();
  }

  /** Rows of four measurements in, rows of one probability a species out. */
  async predict(x: List): Promise<Tensor> {
    const described = Array.isArray(x) ? describe(x) : undefined;
    if (
      described?.kind !== 'number' ||
      described.shape.length !== 2 ||
      described.shape[1] !== FEATURES.length
    )
      throw new MicroserviceError(`an iris is ${FEATURES.length} numbers: ${FEATURES.join(', ')}`);
    const rows = Float32Array.from(flatten(described, x) as number[]);
    const input = new ort.Tensor('float32', rows, described.shape);
    const { probabilities } = await this.#session!.run({ X: input }, ['probabilities']);
    return new Tensor(probabilities!.dims, probabilities!.data as Float32Array);
  }

  classNames(): string[] {
    return this.#labels;
  }

  initMetadata(): ModelMetadata {
    return {
      name: 'iris',
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, FEATURES.length] }],
      outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 3] }],
    };
  }
}
