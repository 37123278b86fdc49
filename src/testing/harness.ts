/** What a scheme's author fills in so that the suite can put models behind the scheme and look at them through it. */
import type { HttpClient, Resolver } from '../fetcher.ts';
import type { ResolverRegistry } from '../registry.ts';

/** File contents by path relative to the model, `/`-separated. */
export type Files = Readonly<Record<string, Uint8Array>>;

/**
 * One scheme over one store that belongs to the test: usually a server started on port 0 by `makeHarness` and stopped
 * by `close`. Every case gets a harness of its own. What a scheme cannot have is left out: its cases are then skipped,
 * and say why.
 */
export interface Harness {
  readonly resolver: Resolver;
  /** The model: a folder, or one file where `singleFile` is set. */
  readonly uri: string;
  /** The scheme names one file. `put` then gets exactly one, named as the last segment of `uri`. */
  readonly singleFile?: boolean;
  /** Makes the model consist of exactly these files; of none, too. */
  put(files: Files): Promise<void>;
  /**
   * Adds neighbours that a careless prefix match would take in. Each name is to follow the model's own name directly:
   * beside `models/m`, `-v2/a.bin` becomes `models/m-v2/a.bin`.
   */
  siblings?(files: Files): Promise<void>;
  /** Stores one object outside the model, under this base name, and answers its URI. */
  single?(name: string, bytes: Uint8Array): Promise<string>;
  /** The whole bucket, registry, share: everything the model is part of. */
  readonly rootUri?: string;
  /** Nothing is there. */
  readonly missingUri?: string;
  /** Whom the source turns away: a resolver with bad credentials, a URI that is not allowed, or both. */
  readonly denied?: { readonly resolver?: Resolver; readonly uri?: string };
  /** How many files make more than one page of a listing. */
  readonly twoPages?: number;
  /** From now on the source takes requests and never answers. `close` must still work. */
  hang?(): Promise<void>;
  /** Secrets in use. They may stand in a location, which is never shown, and nowhere else. */
  readonly secrets?: readonly string[];
  /** Default: the package's own client, with no proxy and the default address policy. */
  readonly http?: HttpClient;
  /** For schemes that point at others. Default: the built-in schemes, with an empty environment. */
  readonly registry?: ResolverRegistry;
  close(): Promise<void>;
}
