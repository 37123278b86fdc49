/** What kind of file system a path lies on: whose disk it is, and hence what may be expected of it. */
import { statfsSync, type BigIntStatsFs } from 'node:fs';
import { statfs } from 'node:fs/promises';

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

/** The type of the file system of `path`, as an unsigned number of 32 bits. */
export function fileSystemType(path: string): number {
  return typeOf(statfsSync(path, { bigint: true }));
}

/** Whether `path` lies on a disk of this machine. What cannot be asked does not. */
export async function isLocal(path: string): Promise<boolean> {
  return statfs(path, { bigint: true }).then(
    (stats) => LOCAL_FILE_SYSTEMS.has(typeOf(stats)),
    () => false,
  );
}

function typeOf({ type }: BigIntStatsFs): number {
  return Number(BigInt.asUintN(32, type));
}
