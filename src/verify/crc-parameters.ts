/** The CRCs that object stores vouch for. All are reflected, with all-ones init and xorout. */

export type CrcAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme';

export interface CrcParameters {
  readonly width: 32 | 64;
  /** Reflected polynomial. */
  readonly polynomial: bigint;
}

/** CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME. Source: the CRC RevEng catalogue. */
export const CRC_PARAMETERS: Readonly<Record<CrcAlgorithm, CrcParameters>> = {
  crc32: { width: 32, polynomial: 0xedb88320n },
  crc32c: { width: 32, polynomial: 0x82f63b78n },
  crc64nvme: { width: 64, polynomial: 0x9a6c9329ac4bc9b5n },
};

export function isCrc(algorithm: string): algorithm is CrcAlgorithm {
  return Object.hasOwn(CRC_PARAMETERS, algorithm);
}

/** Lower-case hex of full width. */
export function crcHex(algorithm: CrcAlgorithm, value: bigint): string {
  return value.toString(16).padStart(CRC_PARAMETERS[algorithm].width / 4, '0');
}
