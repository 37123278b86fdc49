/** Which resolver answers for a URI. An ordinary object: no global, nothing registered by import. */
import { ModelFetchError } from './errors.ts';
import type { Resolver } from './fetcher.ts';
import { closest } from './closest.ts';
import { parseRef, type Ref } from './ref.ts';

/** The environment, handed in: only `fromEnv` functions read it. */
export type Env = Readonly<Record<string, string | undefined>>;

/** One scheme family. */
export interface Registration {
  readonly name: string;
  readonly schemes: readonly string[];
  /** One line for `model-fetch schemes`: the form of the URI. */
  readonly form: string;
  /** Takes refs that another scheme would otherwise get, e.g. `https://*.blob.core.windows.net`. */
  readonly claims?: (ref: Ref) => boolean;
  /** Called at most once, when the scheme is first needed: the place for a lazy `import()`. */
  readonly load: (env: Env) => Promise<Resolver>;
}

export class ResolverRegistry {
  readonly #env: Env;
  readonly #byScheme = new Map<string, Registration>();
  readonly #claims: Registration[] = [];
  readonly #loaded = new Map<Registration, Promise<Resolver>>();

  constructor(registrations: Iterable<Registration>, env: Env) {
    this.#env = env;
    for (const registration of registrations) this.register(registration);
  }

  /** Adds a scheme. A scheme that is already taken is replaced: the last word is the caller's. */
  register(registration: Registration): this {
    for (const scheme of registration.schemes) {
      if (!/^[a-z][a-z0-9+.-]*$/.test(scheme))
        throw new ModelFetchError(
          'INVALID_OPTION',
          `"${scheme}" is not a URI scheme (lower case, RFC 3986)`,
        );
      this.#byScheme.set(scheme, registration);
    }
    if (registration.claims) this.#claims.push(registration);
    return this;
  }

  /** Every registration, in the order of their names. */
  get registrations(): readonly Registration[] {
    const all = new Set([...this.#byScheme.values(), ...this.#claims]);
    return [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get schemes(): readonly string[] {
    return [...this.#byScheme.keys()].sort();
  }

  /** Who answers for `ref`. Throws `UNSUPPORTED_SCHEME`, naming those that exist. */
  find(ref: Ref): Registration {
    const found = this.#claims.findLast((r) => r.claims!(ref)) ?? this.#byScheme.get(ref.scheme);
    if (found) return found;
    const near = closest(ref.scheme, this.schemes);
    throw new ModelFetchError('UNSUPPORTED_SCHEME', `no resolver for ${ref.scheme}://`, {
      uri: ref.raw,
      hint: `${near ? `Did you mean ${near}://? ` : ''}There are ${this.schemes.join(', ')}; --plugin adds others.`,
    });
  }

  /** The resolver for `uri`, loaded on first use. */
  async resolver(
    uri: string | Ref,
  ): Promise<{ ref: Ref; registration: Registration; resolver: Resolver }> {
    const ref = typeof uri === 'string' ? parseRef(uri) : uri;
    const registration = this.find(ref);
    let loading = this.#loaded.get(registration);
    if (!loading) this.#loaded.set(registration, (loading = registration.load(this.#env)));
    return { ref, registration, resolver: await loading };
  }
}
