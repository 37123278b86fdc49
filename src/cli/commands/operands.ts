/** The operands of the commands that take exactly one. */
import { ModelFetchError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { usageLine } from '../program.ts';

/** The only operand. Throws `INVALID_OPTION` with the command's usage. */
export function oneOperand(
  { command, operands }: Pick<Context, 'command' | 'operands'>,
  name: string,
): string {
  const [operand, surplus] = operands;
  if (operand !== undefined && operand !== '' && surplus === undefined) return operand;
  const problem =
    surplus === undefined
      ? `${command} needs ${name}`
      : `${command} takes one ${name}, not also ${surplus}`;
  throw new ModelFetchError('INVALID_OPTION', problem, { hint: usageLine(command) });
}
