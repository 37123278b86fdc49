/** `model-fetch completion bash|zsh|fish`: a script for the shell, made from the table of flags. */
import { ModelFetchError } from '../../errors.ts';
import { completionScript, SHELLS } from '../completion.ts';
import type { Context } from '../context.ts';
import { oneOperand } from './operands.ts';

export async function run(context: Context): Promise<void> {
  const name = oneOperand(context, SHELLS.join('|'));
  const shell = SHELLS.find((candidate) => candidate === name);
  if (shell === undefined)
    throw new ModelFetchError('INVALID_OPTION', `no completion for "${name}"`, {
      hint: `There is one for ${SHELLS.join(', ')}.`,
    });
  const { schemes } = await context.registry();
  context.out.text(completionScript(shell, schemes));
}
