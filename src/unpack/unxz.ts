/**
 * xz over `xz-decompress`, which checks the CRC-32 or CRC-64 of every block and refuses dictionaries above 64 MiB. It
 * stops reading where the stream ends, so what follows is looked at here.
 */
import { badArchive } from './refuse.ts';

/** Decompresses. Throws `BAD_ARCHIVE`; what `chunks` throws comes out as it is. */
export async function* unxz(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // A CommonJS bundle: Node finds its names on the default export only.
  const { XzReadableStream } = (await import('xz-decompress')).default;
  const input = chunks[Symbol.asyncIterator]();
  let failed: { error: unknown } | undefined;
  let used = false;
  const compressed = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await input.next();
          used ||= next.done === true;
          if (next.done) controller.close();
          // Copied, because the reader keeps what it has not used while it asks for more.
          else controller.enqueue(new Uint8Array(next.value));
        } catch (error) {
          failed = { error };
          controller.error(error);
        }
      },
    },
    { highWaterMark: 0 },
  );
  try {
    yield* new XzReadableStream(compressed);
  } catch (error) {
    if (failed) throw failed.error;
    throw badArchive(reason(error, used), HINT, error);
  } finally {
    void input.return?.().catch(() => undefined);
  }
}

const HINT =
  'Check it with xz -t; if it is whole, compress it again with plain xz (LZMA2, CRC-64, at most level 9).';

/** The codes of XZ Embedded. Source: `xz.h`, enum `xz_ret`. */
const CODES: Readonly<Record<string, string>> = {
  '3': 'there is not enough memory to decompress it',
  '4': 'it needs a dictionary of more than 64 MiB to be decompressed',
  '5': 'its compressed data is not xz',
  '6': 'it is compressed with a filter or check that is not supported',
  '7': 'its compressed data is damaged (xz)',
  '8': 'its compressed data ends early, or something follows it',
};

function reason(error: unknown, used: boolean): string {
  const code = /error code (\d+)/.exec(String(error))?.[1] ?? '';
  return (
    CODES[code] ?? (used ? 'its compressed data ends early' : 'its compressed data is damaged (xz)')
  );
}
