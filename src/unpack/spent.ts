/** Memory of what was decompressed, given back at once instead of when somebody collects the garbage: tens of MiB less at a time. */

/**
 * Nobody needs `chunk` any more, and `last` nothing else in the engine's buffer, of `bufferSize` bytes, that it lies in: an
 * engine fills a buffer to its end and then takes another. Memory that is shared (of small buffers) is left alone.
 */
export function spent(
  chunk: Uint8Array,
  bufferSize: number,
  last = chunk.byteOffset + chunk.length === bufferSize,
): void {
  const { buffer } = chunk;
  if (!last || bufferSize <= Buffer.poolSize || buffer.byteLength !== bufferSize) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
