/** One entry and where its bytes are right now: located once, refreshed in time, asked again when it stops working. */
import { ModelFetchError } from '../errors.ts';
import type {
  Entry,
  FailedLocation,
  Fetcher,
  HttpLocation,
  Location,
  PartDigest,
} from '../fetcher.ts';
import { believable } from '../verify/parts.ts';
import type { Refusal } from './lane.ts';

/** Milliseconds before `expiresAt` at which a location is renewed. */
const RENEW_EARLY_MS = 30_000;
/** Fresh locations after refusals, in a row and without a new byte, before the refusal is final. */
const MAX_RELOCATIONS = 3;

export class Source {
  readonly entry: Entry;
  readonly fetcher: Fetcher;
  readonly #signal: AbortSignal;
  #location: Promise<Location> | undefined;
  /** What it resolved to. */
  #known: Location | undefined;
  #relocating: Promise<Location> | undefined;
  #relocations = 0;
  #parts: readonly PartDigest[] = [];

  constructor(fetcher: Fetcher, entry: Entry, signal: AbortSignal) {
    this.fetcher = fetcher;
    this.entry = entry;
    this.#signal = signal;
  }

  /** Many ranges ask; one call is made. At once where it is known: a small file is asked for it again and again. */
  location(): Location | Promise<Location> {
    const known = this.#known;
    if (!known) return (this.#location ??= this.#locate());
    if (!endsSoon(known)) return known;
    // Of several who see it, the first renews it.
    this.#known = undefined;
    return (this.#location = this.#locate());
  }

  /** What locating told of its parts. It is kept from the location, which crosses to threads with every request. */
  parts(): readonly PartDigest[] | Promise<readonly PartDigest[]> {
    return this.#known ? this.#parts : Promise.resolve(this.location()).then(() => this.#parts);
  }

  /** Bytes came: the location works. */
  works(): void {
    this.#relocations = 0;
  }

  /**
   * `refusal` came from `location`. Resolves when there is another to try; throws the fetcher's typed error, or a general one
   * when the fetcher keeps giving locations that are refused. Ranges that fail together ask once.
   */
  async refused(location: HttpLocation, refusal: Refusal): Promise<void> {
    const current = await this.#location?.catch(() => undefined);
    if (current !== location && current !== undefined) return;
    if (!this.#relocating) {
      if (++this.#relocations > MAX_RELOCATIONS) throw refusedForGood(location, refusal);
      this.#relocating = this.#locate({
        location,
        status: refusal.head.status,
        headers: refusal.head.headers,
        body: refusal.body,
      }).finally(() => {
        this.#relocating = undefined;
      });
      this.#location = this.#relocating;
      this.#known = undefined;
    }
    await this.#relocating;
  }

  async #locate(failed?: FailedLocation): Promise<Location> {
    try {
      const location = await this.fetcher.locate(this.entry, {
        signal: this.#signal,
        ...(failed && { failed }),
      });
      if (location.kind !== 'http' || !location.parts) return (this.#known = location);
      const { parts, ...rest } = location;
      this.#parts = believable(parts, this.entry.size);
      return (this.#known = rest);
    } catch (error) {
      this.#location = undefined;
      throw error;
    }
  }
}

function endsSoon(location: Location): boolean {
  return (
    location.kind === 'http' &&
    location.expiresAt !== undefined &&
    location.expiresAt - Date.now() < RENEW_EARLY_MS
  );
}

function refusedForGood(location: HttpLocation, refusal: Refusal): ModelFetchError {
  const { status } = refusal.head;
  const code =
    status === 401
      ? 'UNAUTHENTICATED'
      : status === 403
        ? 'PERMISSION_DENIED'
        : status === 404 || status === 410
          ? 'NOT_FOUND'
          : 'BAD_RESPONSE';
  return new ModelFetchError(code, `the server keeps answering ${String(status)}`, {
    uri: location.url,
  });
}
