/** The small models that the recorded answers are of. Some hooks have their snake_case, some their camelCase name. */
import { SeldonResponse } from '../src/index.ts';

class Echo {
  predict(x: unknown): unknown {
    return x;
  }
}

/** A model whose `predict` gives always the same. */
const giving = (value: unknown) =>
  class {
    predict(): unknown {
      return value;
    }
  };

export const classes = {
  skeleton: giving('Hello Model'),
  echo: Echo,
  feedback: class extends Echo {
    send_feedback(_x: unknown, names: string[]): number[] {
      return [names.length, 2];
    }
  },
  proba: class {
    predict(): number[][] {
      return [[0.87, 0.13, 7.5e-6]];
    }
    tags(): object {
      return { system: 'production' };
    }
    metrics(): object[] {
      return [{ type: 'COUNTER', key: 'mycounter', value: 1 }];
    }
    classNames(): string[] {
      return ['a', 'b', 'c'];
    }
    health_status(): number[] {
      return [1, 2];
    }
  },
  runtime: class {
    predict(x: unknown): SeldonResponse {
      const metrics = [{ type: 'COUNTER', key: 'rt', value: 2 } as const];
      return new SeldonResponse(x, { runtime: 'tag', shared: 'right one' }, metrics);
    }
    tags(): object {
      return { static: 'tag', shared: 'not right one' };
    }
    metrics(): object[] {
      return [{ type: 'COUNTER', key: 'st', value: 1 }];
    }
  },
  err: class {
    predict(): never {
      throw new Error('boom');
    }
  },
  none: giving(null),
  num: giving(3),
  dict: giving({ b: 1, a: 'é' }),
  bytes: giving(new Uint8Array([0x00, 0xff])),
  ints: giving([
    [1, 2],
    [3, 4],
  ]),
  floats: giving([[1.0, 2.0]]),
  nan: giving([NaN, Infinity]),
  strs: giving([['x', 'y']]),
  router: class {
    route(): number {
      return 1;
    }
  },
  combiner: class {
    aggregate(xs: number[][][]): number[][] {
      const mean = (row: number, column: number): number =>
        xs.reduce((sum, x) => sum + x[row]![column]!, 0) / xs.length;
      return xs[0]!.map((values, row) => values.map((_, column) => mean(row, column)));
    }
  },
  raw: class {
    predict_raw(): object {
      return { jsonData: { raw: true }, meta: { tags: { t: 1 } } };
    }
  },
  status: class {
    predictRaw(): object {
      const status = { code: 418, status: 'FAILURE', info: 'teapot', reason: 'x' };
      return { status, jsonData: { a: 1 } };
    }
  },
  badmeta: class extends Echo {
    init_metadata(): object {
      return { name: 1 };
    }
  },
};

export type ModelName = keyof typeof classes;
