/** One file that is stored compressed and wanted plain: brought whole and checked, then decompressed. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Downloaded } from '../transfer/one-pass.ts';
import { localBytes } from '../transfer/place-local.ts';
import type { Source } from '../transfer/source.ts';
import { decompress } from '../unpack/decompress.ts';
import { FileWriter } from '../unpack/file-writer.ts';
import { Budget, defaultLimits } from '../unpack/limits.ts';
import { bring } from './bring.ts';
import type { StageContext } from './context.ts';

/** Like `bring`, for an entry of `encoding: 'gzip'`: what is at `to` then is the content. Digests are those of what was stored. */
export async function bringDecoded(
  context: StageContext,
  source: Source,
  to: string,
): Promise<Downloaded> {
  const { staging, transfer } = context;
  const { entry } = source;
  const packed = join(staging.newScratch(), 'packed');
  const { against } = await bring(context, source, packed);
  const budget = new Budget(defaultLimits);
  const writer = new FileWriter();
  writer.open(to, entry.path, 0o644);
  try {
    for await (const chunk of decompress(localBytes(entry, packed, transfer.signal), 'gz')) {
      budget.bytes(chunk.length);
      writer.write(chunk);
    }
    const { size, crc32 } = writer.close();
    return { size, crc: `crc32:${crc32}`, against };
  } finally {
    writer.abandon();
    rmSync(packed, { force: true });
  }
}
