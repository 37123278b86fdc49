/** One instance of the author's class, and how its hooks are found and called. */
import { SeldonNotImplementedError } from '../errors.ts';

/** A hook that is not there, or says so itself. */
export const ABSENT = Symbol('absent');

/** Wraps an instance: hooks are asked for by their snake_case names and may have either spelling. */
export class Component {
  readonly #model: Record<string, unknown>;

  constructor(model: object) {
    this.#model = model as Record<string, unknown>;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** Calls a hook, or answers the attribute of that name; `ABSENT` where there is neither. */
  async call(name: string, ...args: readonly unknown[]): Promise<unknown> {
    const hook = this.#find(name);
    if (hook === undefined) return ABSENT;
    if (typeof hook !== 'function') return hook;
    try {
      return await (hook as (...args: unknown[]) => unknown).apply(this.#model, [...args]);
    } catch (error) {
      if (isNotImplemented(error)) return ABSENT;
      throw error;
    }
  }

  #find(name: string): unknown {
    return this.#model[name] ?? this.#model[camelCase(name)] ?? undefined;
  }
}

/** By name: a model may have the class from another copy, or one of its own. */
function isNotImplemented(error: unknown): boolean {
  return (
    error instanceof SeldonNotImplementedError ||
    (error instanceof Error && error.name === 'SeldonNotImplementedError')
  );
}

const known = new Map<string, string>();

/** `predict_raw` is `predictRaw`. */
export function camelCase(name: string): string {
  const before = known.get(name);
  if (before !== undefined) return before;
  const made = convert(name);
  if (known.size < 1000) known.set(name, made);
  return made;
}

function convert(name: string): string {
  return name.replace(/_+([a-z0-9])/gi, (_all, letter: string) => letter.toUpperCase());
}
