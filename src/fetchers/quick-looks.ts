/**
 * Looks at a disk of this machine, without a promise a file: a look takes two microseconds, handing it to the thread pool five
 * times as long. What is not plain, or not quick, is left to whoever asks properly.
 */
import { lstatSync, opendirSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { isLocal } from '../file-systems.ts';

/** A file or folder met on a walk, links followed. */
export interface Found {
  readonly real: string;
  readonly stats: BigIntStats;
}

/** Milliseconds for a batch: with more, the disk is busy or asleep, and is better asked by several threads. */
const QUICK = 1;
/** Milliseconds after which signals, timers and other work get their turn. */
const TURN = 10;
/** Names read between two looks at the clock. */
const NAMES = 1024;

export class QuickLooks {
  readonly #isLocal = new Map<bigint, Promise<boolean>>();
  #lastTurn = performance.now();

  /** Whether the folder may be asked at once: over a network that could stop everything for as long as its server likes. */
  async mayAsk({ real, stats }: Found): Promise<boolean> {
    let answer = this.#isLocal.get(stats.dev);
    if (!answer) this.#isLocal.set(stats.dev, (answer = isLocal(real)));
    return answer;
  }

  /** In the order of the disk. Throws what the system says. */
  async names(folder: string): Promise<string[]> {
    const names: string[] = [];
    const entries = opendirSync(folder);
    try {
      for (let entry = entries.readSync(); entry; entry = entries.readSync()) {
        names.push(entry.name);
        if (names.length % NAMES === 0) await this.turn();
      }
      return names;
    } finally {
      entries.closeSync();
    }
  }

  /** The first of `names`, up to one that is neither a file nor a folder, or cannot be looked at, or takes long. */
  firstOf(folder: string, names: readonly string[]): Found[] {
    const found: Found[] = [];
    const end = performance.now() + QUICK;
    for (const name of names) {
      const real = join(folder, name);
      const stats = look(real);
      if (!stats?.isFile() && !stats?.isDirectory()) break;
      found.push({ real, stats });
      if (performance.now() > end) break;
    }
    return found;
  }

  /** Lets others have their turn, now and then. */
  async turn(): Promise<void> {
    if (performance.now() - this.#lastTurn < TURN) return;
    await new Promise(setImmediate);
    this.#lastTurn = performance.now();
  }
}

function look(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
