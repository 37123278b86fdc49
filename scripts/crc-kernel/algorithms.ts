/** The sparse multiples of each polynomial that the kernel folds with. */
import { CRC_PARAMETERS, type CrcAlgorithm } from '../../src/verify/crc-parameters.ts';

/** x^(8·degree) + Σ x^(8·term) is divisible by the polynomial. One of the terms is 0. */
export interface Multiple {
  readonly degree: number;
  readonly terms: readonly number[];
}

export interface Algorithm {
  readonly name: CrcAlgorithm;
  readonly width: 32 | 64;
  /** Coarse, then fine: few terms, and then a small degree. */
  readonly multiples: readonly Multiple[];
}

/**
 * Found by search, among those of least degree for their number of terms. A first term less than the degree by much is
 * worth more than a few bytes of degree: what was just stored is slow to load again at another alignment.
 */
const MULTIPLES: Readonly<Record<CrcAlgorithm, readonly Multiple[]>> = {
  crc32: [
    { degree: 4018, terms: [0, 1837, 2091] },
    { degree: 300, terms: [0, 89, 117, 155] },
  ],
  crc32c: [
    { degree: 5321, terms: [0, 2491, 3574] },
    { degree: 209, terms: [0, 14, 39, 54, 144] },
  ],
  crc64nvme: [
    { degree: 4498, terms: [0, 153, 355, 727, 1750, 3925] },
    { degree: 316, terms: [0, 26, 94, 98, 109, 115, 123, 152, 161, 190, 211, 300] },
  ],
};

export const ALGORITHMS: readonly Algorithm[] = (Object.keys(MULTIPLES) as CrcAlgorithm[]).map(
  (name) => ({ name, width: CRC_PARAMETERS[name].width, multiples: MULTIPLES[name] }),
);
