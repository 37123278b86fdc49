/** `model-fetch schemes`: what can stand before `://`, plugins included. */
import type { Context } from '../context.ts';
import { columns } from '../format.ts';

export async function run(context: Context): Promise<void> {
  const { registrations } = await context.registry();
  const { out } = context;
  if (out.json)
    out.document(registrations.map(({ name, schemes, form }) => ({ name, schemes, form })));
  else
    for (const line of columns(
      registrations.map(({ schemes, form }) => [schemes.join(', '), form]),
    ))
      out.line(line);
}
