/** Writes `src/verify/crc-wasm.ts`. Run after a change to the kernel: `node scripts/crc-kernel/build.ts`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generated } from './generated.ts';

writeFileSync(join(import.meta.dirname, '../../src/verify/crc-wasm.ts'), await generated());
