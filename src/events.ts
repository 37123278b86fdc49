/** What a run tells while it runs: plain data through one callback. The engine prints nothing. */
import type { Digest } from './fetcher.ts';

export type FetchEvent =
  | { readonly type: 'resolved'; readonly uri: string; readonly revision?: string }
  /** Listing has ended: what there is, and how much of it is already in place. */
  | {
      readonly type: 'listed';
      readonly uri: string;
      readonly files: number;
      readonly bytes: number;
      readonly kept: number;
      /** Bytes of the kept files, which are part of `bytes`. */
      readonly keptBytes?: number;
    }
  /** Body bytes that arrived, since the last such event of that file. */
  | { readonly type: 'progress'; readonly path: string; readonly bytes: number }
  /** Something broke and will be tried again. */
  | {
      readonly type: 'retry';
      readonly path: string;
      readonly at: number;
      readonly inMs: number;
      readonly attempt: number;
      readonly code: string;
      readonly message: string;
    }
  /** A file is whole in staging; `against` names the digests of the source it was checked with. */
  | {
      readonly type: 'verified';
      readonly path: string;
      readonly bytes: number;
      readonly crc: Digest;
      readonly against: readonly Digest[];
    }
  | {
      readonly type: 'unpacked';
      readonly path: string;
      readonly format: string;
      readonly files: number;
      readonly bytes: number;
    }
  | { readonly type: 'warning'; readonly message: string }
  /**
   * Told when it is certain that the run goes as fast as the CPU it may use, or the volume it writes to, and no faster: after
   * five seconds of it at least. Once for each; and, if there was one, once more with the sums of the whole run at its end.
   */
  | {
      readonly type: 'bound';
      readonly by: 'cpu' | 'disk';
      /** For how long, of all seconds in which requests were under way; and how much arrived meanwhile. */
      readonly seconds: number;
      readonly ofSeconds: number;
      readonly bytesPerSecond: number;
      /** 0 to 1: of the writers' time, how much they waited for the volume; of the CPU quota's periods, how many used it up. */
      readonly share: number;
      /** CPUs' worth of time that the run may use; with `quota`, because its control group may use no more. */
      readonly cores: number;
      readonly quota: boolean;
    }
  | {
      readonly type: 'published';
      readonly target: string;
      readonly files: number;
      readonly bytes: number;
      readonly removed: number;
    }
  | {
      readonly type: 'unchanged';
      readonly target: string;
      readonly files: number;
      readonly bytes: number;
    };

export type Reporter = (event: FetchEvent) => void;
