/**
 * Whether the bytes of a model are synced before they are published (docs/adr/0007). What is not synced is lost only with the
 * kernel that holds it: the manifest then names the boot, and in another boot nothing is believed that was not read again.
 */
import { LOCAL_FILE_SYSTEMS } from '../file-systems.ts';
import type { Fsync } from '../options.ts';
import type { ManifestHeader } from './manifest.ts';

/** In the place of a boot that could not be read: it is never the present one. */
export const UNKNOWN_BOOT = 'unknown';

/** What a run does about the bytes of one target. */
export interface Durability {
  /** Every file and folder is synced before it is published. */
  readonly sync: boolean;
  /** What the manifest says about itself; undefined: its bytes are on disk. */
  readonly boot: string | undefined;
}

/** `type`: of the target's file system, as statfs(2) has it. `boot`: the present one, where it can be read. */
export function durability(fsync: Fsync, type: number, boot: string | undefined): Durability {
  const sync =
    fsync === 'always' ||
    (fsync === 'auto' && (boot === undefined || !LOCAL_FILE_SYSTEMS.has(type)));
  return { sync, boot: sync ? undefined : (boot ?? UNKNOWN_BOOT) };
}

/** Whether what a manifest says of its files may be believed without reading them: they are on disk, or still in this kernel's care. */
export function isCredible(
  header: Pick<ManifestHeader, 'boot'>,
  boot: string | undefined,
): boolean {
  return header.boot === undefined || header.boot === boot;
}
