/** `model-fetch verify <dest>`: the published files against their manifest. Throws `TARGET_CHANGED` naming the one that differs. */
import { resolve } from 'node:path';
import { ModelFetchError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { count, formatBytes } from '../format.ts';
import { oneOperand } from './operands.ts';

export async function run(context: Context): Promise<void> {
  const { out, values, cwd, signal } = context;
  const dest = resolve(cwd, oneOperand(context, '<dest>'));
  if (values.manifest === false)
    throw new ModelFetchError('INVALID_OPTION', 'verify needs a manifest', {
      hint: 'Leave out --manifest none.',
    });
  const { verifyTarget } = await import('../../fetch-model.ts');
  const options = { signal, ...(values.manifest !== undefined && { manifest: values.manifest }) };
  const { files, bytes, manifest } = await verifyTarget(dest, options);
  if (out.json) out.document({ target: dest, files, bytes, manifest });
  else out.line(dest);
  const msg = `${count(files, 'file')}, ${formatBytes(bytes)}: all as in ${manifest}`;
  context.summarize(msg, { event: 'verified', status: 'verified', target: dest, files, bytes });
}
