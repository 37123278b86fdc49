/** What staging one source of a target needs to know. */
import type { Digest, Fetcher } from '../fetcher.ts';
import type { LinkMode, Unpack } from '../options.ts';
import type { Obstacles } from '../publish/in-the-way.ts';
import type { Staging } from '../publish/staging.ts';
import type { Transfer } from '../transfer/read.ts';

export interface StageContext {
  readonly transfer: Transfer;
  readonly fetcher: Fetcher;
  /** Index and name of the source in the manifest. */
  readonly source: number;
  readonly from: string;
  readonly staging: Staging;
  /** The directory that is published into. */
  readonly target: string;
  /** Kept files must be synced: the run that brought them did not. */
  readonly syncKept: boolean;
  /** Where plain files of all sources go. */
  readonly tree: string;
  readonly obstacles: Obstacles;
  readonly required: readonly Digest[];
  readonly link: LinkMode;
  readonly unpack: Unpack;
  /** Ranges of one file at a time. */
  readonly width: number;
  /** Paths that archives bring must not collide with others. */
  claim(path: string): void;
  /** A file that turned out to be an archive takes no path. */
  release(path: string): void;
  /** Called for every file that will be published. */
  onFile(file: { size: number; kept: boolean }): void;
}
