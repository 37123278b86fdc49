/** `model-fetch explain <uri>`: who answers, the parts of the URI, and the credentials that would be used. Never a secret. */
import { redactText } from '../../redact.ts';
import type { Context } from '../context.ts';
import { columns } from '../format.ts';
import { oneOperand } from './operands.ts';

export async function run(context: Context): Promise<void> {
  const { out } = context;
  const uri = oneOperand(context, '<uri>');
  const { explainModel } = await import('../../fetch-model.ts');
  const { registration, explanation } = await explainModel(uri, await context.options());
  const { name, form } = registration;
  if (out.json) {
    out.document({ uri, resolver: name, form, ...explanation });
    return;
  }
  const rows = [
    ['uri', uri],
    ['resolver', `${name} (${form})`],
    ...Object.entries(explanation?.parts ?? {}),
    ...(explanation?.endpoint === undefined ? [] : [['endpoint', explanation.endpoint]]),
    ['credentials', explanation?.credentials ?? 'the scheme does not say'],
  ];
  for (const line of columns(rows.map(([key, value]) => [key!, redactText(value!)])))
    out.line(line);
}
