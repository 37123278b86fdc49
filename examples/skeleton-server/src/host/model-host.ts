/** Holds the instance that answers, and replaces it when another version of its files was published. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ABSENT, Component } from './component.ts';
import type { ModelClass } from './load-class.ts';
import { publication } from './manifest.ts';
import { constructorArgument, type Parameters } from './parameters.ts';
import { describeModel, type Metadata, type MetadataSettings } from './metadata.ts';

export interface HostSettings {
  readonly modelClass: ModelClass;
  readonly parameters: Parameters;
  readonly metadata: MetadataSettings;
  /** The directory whose manifest is watched; undefined: none is. */
  readonly watched: string | undefined;
  /** Milliseconds between two looks at the manifest. */
  readonly interval: number;
  readonly log: { info(message: string): void; error(error: unknown, message: string): void };
  /** A version was loaded, or could not be. */
  readonly onReload: (succeeded: boolean) => void;
}

/** An instance that was loaded, and how many requests it is answering. */
export interface Serving {
  readonly component: Component;
  /** Undefined: the model's own metadata are wrong. */
  readonly metadata: Metadata | undefined;
  readonly version: string | undefined;
}

/** Why a load is not to be believed: the files changed under it. */
class ChangedMeanwhile extends Error {}

export class ModelHost implements AsyncDisposable {
  readonly #settings: HostSettings;
  readonly #stop = new AbortController();
  readonly #busy = new Map<Serving, number>();
  #current: Serving;
  #watching: Promise<void> = Promise.resolve();

  /** Constructs the class and awaits its `load()`. Throws what they throw. */
  static async start(settings: HostSettings): Promise<ModelHost> {
    for (;;) {
      try {
        const host = new ModelHost(settings, await load(settings));
        if (settings.watched !== undefined) host.#watching = host.#watch(settings.watched);
        return host;
      } catch (error) {
        if (!(error instanceof ChangedMeanwhile)) throw error;
        await sleep(settings.interval);
      }
    }
  }

  private constructor(settings: HostSettings, first: Serving) {
    this.#settings = settings;
    this.#current = first;
  }

  get current(): Serving {
    return this.#current;
  }

  /** Answers one request by one instance from its beginning to its end, whatever is loaded meanwhile. */
  async use<T>(work: (serving: Serving) => Promise<T>): Promise<T> {
    const serving = this.#current;
    this.#busy.set(serving, (this.#busy.get(serving) ?? 0) + 1);
    try {
      return await work(serving);
    } finally {
      const left = this.#busy.get(serving)! - 1;
      if (left > 0) this.#busy.set(serving, left);
      else this.#busy.delete(serving);
      if (left === 0 && serving !== this.#current) await this.#unload(serving);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.#unload(this.#current);
  }

  /** Looks instead of listening: notifications do not cross network volumes, and a look is one `stat`. */
  async #watch(directory: string): Promise<void> {
    const { interval, log } = this.#settings;
    let tried = this.#current.version;
    for (;;) {
      if (!(await this.#pause(interval))) return;
      try {
        const version = await publication(directory);
        if (version === undefined || version === tried) continue;
        await this.#reload(version);
        tried = version;
      } catch (error) {
        if (!(error instanceof ChangedMeanwhile))
          log.error(error, `${directory}: cannot look at the manifest`);
      }
    }
  }

  /** False once the host was told to stop. */
  async #pause(interval: number): Promise<boolean> {
    try {
      await sleep(interval, undefined, { signal: this.#stop.signal });
    } catch {
      return false;
    }
    return !this.#stop.signal.aborted;
  }

  /** A version that cannot be loaded is told and passed over: the one before it goes on answering. */
  async #reload(version: string): Promise<void> {
    const { log, onReload } = this.#settings;
    let next: Serving;
    try {
      next = await load(this.#settings);
    } catch (error) {
      if (error instanceof ChangedMeanwhile || (await this.#changed(version)))
        throw new ChangedMeanwhile();
      onReload(false);
      log.error(error, 'the new version of the model cannot be loaded: the previous one stays');
      return;
    }
    const previous = this.#current;
    this.#current = next;
    onReload(true);
    log.info('the model was reloaded');
    if (!this.#busy.has(previous)) await this.#unload(previous);
  }

  async #changed(version: string): Promise<boolean> {
    return (await publication(this.#settings.watched!)) !== version;
  }

  async #unload({ component }: Serving): Promise<void> {
    try {
      await component.call('unload');
    } catch (error) {
      this.#settings.log.error(error, 'unload() failed');
    }
  }
}

/** The manifest must be the same before and after: then the files between were those of one version. */
async function load(settings: HostSettings): Promise<Serving> {
  const { modelClass, parameters, watched } = settings;
  const version = watched === undefined ? undefined : await publication(watched);
  const component = new Component(new modelClass(constructorArgument(parameters)));
  const loaded = await component.call('load');
  if (loaded === ABSENT) settings.log.info('the model has no load()');
  if (watched !== undefined && (await publication(watched)) !== version) {
    await component.call('unload');
    throw new ChangedMeanwhile('the model changed while it was loaded');
  }
  return { component, metadata: await describeModel(component, settings.metadata), version };
}
