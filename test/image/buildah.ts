/** Debian's `buildah` with a storage of its own: no engine, no root of a shared store, nothing left behind elsewhere. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SpawnOptions } from 'node:child_process';
import { run, start, type Ran } from './process.ts';

export class Buildah {
  readonly #globals: readonly string[];

  /** `folder` holds images and containers; `overlay` where the file system carries it. */
  constructor(folder: string) {
    mkdirSync(join(folder, 'images'), { recursive: true });
    mkdirSync(join(folder, 'state'), { recursive: true });
    // Local images only, and whatever they say: nothing here is signed, nothing here is pulled.
    const policy = join(folder, 'policy.json');
    const registries = join(folder, 'registries.conf');
    writeFileSync(policy, '{ "default": [{ "type": "insecureAcceptAnything" }] }\n');
    writeFileSync(registries, 'unqualified-search-registries = []\n');
    this.#globals = [
      '--root',
      join(folder, 'images'),
      '--runroot',
      join(folder, 'state'),
      '--storage-driver',
      'overlay',
      '--registries-conf',
      registries,
    ];
    this.#policy = ['--signature-policy', policy];
  }
  readonly #policy: readonly string[];

  /** Throws unless it ends with 0. */
  call(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
    return run('buildah', this.#args(command, args), options);
  }

  /** The same, whatever its status. */
  attempt(command: string, args: readonly string[]): Promise<Ran> {
    return start('buildah', this.#args(command, args)).done;
  }

  #args(command: string, args: readonly string[]): string[] {
    const checksImages = ['build', 'commit', 'from', 'pull', 'push'].includes(command);
    return [...this.#globals, command, ...(checksImages ? this.#policy : []), ...args];
  }

  /** Containers first, then images; errors are of no interest any more. */
  async removeAll(): Promise<void> {
    await this.attempt('rm', ['--all']);
    await this.attempt('rmi', ['--all', '--force']);
  }
}
