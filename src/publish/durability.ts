/**
 * Whether the bytes of a model are synced before they are published (docs/adr/0007). What is not synced is lost only with the
 * kernel that holds it: the manifest then names the boot, and in another boot nothing is believed that was not read again.
 */
import { statfsSync } from 'node:fs';
import type { Fsync } from '../options.ts';
import type { ManifestHeader } from './manifest.ts';

/**
 * File systems whose blocks only this kernel writes, and which take a write only when they have room for it. By the numbers
 * of statfs(2) and linux/magic.h. Anything else (NFS, SMB, Ceph, FUSE, 9p, Lustre, cluster file systems, what we do not know)
 * may be read by other machines, or say only to a sync that a write has failed.
 */
export const LOCAL_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext2, ext3, ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0xf2f52010, 'f2fs'],
  [0x2fc12fc1, 'zfs'],
  [0xca451a4e, 'bcachefs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlayfs'],
]);

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

/** The type of the file system of `path`, as an unsigned number of 32 bits. */
export function fileSystemType(path: string): number {
  return Number(BigInt.asUintN(32, statfsSync(path, { bigint: true }).type));
}

/** Whether what a manifest says of its files may be believed without reading them: they are on disk, or still in this kernel's care. */
export function isCredible(
  header: Pick<ManifestHeader, 'boot'>,
  boot: string | undefined,
): boolean {
  return header.boot === undefined || header.boot === boot;
}
