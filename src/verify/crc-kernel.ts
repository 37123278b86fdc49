/**
 * CRCs at several times the speed of `zlib.crc32`, which Node builds without SIMD: a WebAssembly module, see
 * `scripts/crc-kernel`. Every byte of every model passes through here.
 */
import { CRC_PARAMETERS, type CrcAlgorithm } from './crc-parameters.ts';
import { byteTable, plainCrc, type ByteTable } from './crc-plain.ts';
import { LAYOUT, MODULE } from './crc-wasm.ts';

export interface CrcKernel {
  /** The CRC of what `crc` is of, and then `chunk`. What lies in `room` is read in place, anything else copied in first. */
  readonly update: (algorithm: CrcAlgorithm, crc: bigint, chunk: Uint8Array) => bigint;
  /** The caller's own: buffers cut from here spare the copy, about a third of the cost. */
  readonly room: Uint8Array;
}

/** `update` by the kernel in whose room `chunk` lies, or else by one that all of this thread share. */
export function updateCrc(algorithm: CrcAlgorithm, crc: bigint, chunk: Uint8Array): bigint {
  const kernel = kernels.get(chunk.buffer) ?? (shared ??= createCrcKernel());
  return kernel.update(algorithm, crc, chunk);
}

let shared: CrcKernel | undefined;
const kernels = new WeakMap<ArrayBufferLike, CrcKernel>();

/** Compiles the module and gives it a memory of its own: some hundred KiB, and `room` bytes. */
export function createCrcKernel(room = 0): CrcKernel {
  const instance = instantiate();
  if (!instance) return plainKernel(room);
  const { memory } = instance;
  const start = memory.buffer.byteLength;
  if (room > 0) memory.grow(Math.ceil((room + LAYOUT.readsBeyond) / PAGE));
  const { buffer } = memory;
  const input = new Uint8Array(buffer, LAYOUT.input, LAYOUT.inputLength);
  const ready = new Set<CrcAlgorithm>();
  const kernel: CrcKernel = {
    update: (algorithm, crc, chunk) => {
      if (!ready.has(algorithm)) {
        writeTables(new DataView(buffer, LAYOUT.tables[algorithm]), tableOf(algorithm));
        ready.add(algorithm);
      }
      const sum = instance[algorithm];
      let value = crc;
      if (chunk.buffer === buffer)
        value = sum(chunk.byteOffset, chunk.byteOffset + chunk.length, value);
      else
        for (let at = 0; at < chunk.length; at += input.length) {
          const piece =
            chunk.length <= input.length ? chunk : chunk.subarray(at, at + input.length);
          input.set(piece);
          value = sum(LAYOUT.input, LAYOUT.input + piece.length, value);
        }
      return BigInt.asUintN(64, value);
    },
    room: new Uint8Array(buffer, start, room),
  };
  kernels.set(buffer, kernel);
  return kernel;
}

/** Where WebAssembly is switched off, or the processor lacks what its SIMD needs. */
export function plainKernel(room = 0): CrcKernel {
  return {
    update: (algorithm, crc, chunk) =>
      plainCrc(CRC_PARAMETERS[algorithm], tableOf(algorithm), crc, chunk),
    room: new Uint8Array(room),
  };
}

const byteTables = new Map<CrcAlgorithm, ByteTable>();

function tableOf(algorithm: CrcAlgorithm): ByteTable {
  let table = byteTables.get(algorithm);
  if (!table) byteTables.set(algorithm, (table = byteTable(CRC_PARAMETERS[algorithm])));
  return table;
}

/** Table k tells what a byte adds that k more bytes follow. */
function writeTables(view: DataView, { low, high }: ByteTable): void {
  let at = 0;
  const lows = low.slice();
  const highs = high.slice();
  for (let table = 0; table < LAYOUT.tablesEach; table++)
    for (let byte = 0; byte < 256; byte++, at += 8) {
      const [l, h] = [lows[byte]!, highs[byte]!];
      view.setUint32(at, l, true);
      view.setUint32(at + 4, h, true);
      lows[byte] = ((l >>> 8) | (h << 24)) ^ low[l & 0xff]!;
      highs[byte] = (h >>> 8) ^ high[l & 0xff]!;
    }
}

const PAGE = 64 * 1024;

type Sum = (from: number, end: number, crc: bigint) => bigint;
type Instance = Readonly<Record<CrcAlgorithm, Sum>> & {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
};

/** The part of the global that is used here: Node's types do not declare it. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

/** Undefined where the module cannot run. */
function instantiate(): Instance | undefined {
  const { WebAssembly } = globalThis as { WebAssembly?: WebAssemblyApi };
  if (!WebAssembly) return undefined;
  try {
    const module = new WebAssembly.Module(Buffer.from(MODULE, 'base64'));
    return new WebAssembly.Instance(module).exports as Instance;
  } catch {
    return undefined;
  }
}
