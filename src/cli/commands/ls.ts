/**
 * `model-fetch ls <uri>`: one line a file, or with `--output json` one document `{ uri, entries, files, bytes }`. It is
 * written while the listing arrives; when that breaks off, the document ends with `error` in place of the sums.
 */
import type { Entry } from '../../fetcher.ts';
import { redactText } from '../../redact.ts';
import { describeFailure, failureJson } from '../failure.ts';
import type { Context } from '../context.ts';
import { count, formatBytes, oneLine } from '../format.ts';
import { oneOperand } from './operands.ts';

/** The widest that `formatBytes` gets. */
const SIZE_WIDTH = 8;

export async function run(context: Context): Promise<void> {
  const uri = oneOperand(context, '<uri>');
  const options = await context.options();
  const { listModel } = await import('../../fetch-model.ts');
  let files = 0;
  let bytes = 0;
  try {
    for await (const entry of listModel(uri, options)) {
      if (context.out.closed) return;
      printEntry(context, uri, entry, files === 0);
      files++;
      bytes += entry.size ?? 0;
    }
  } catch (error) {
    if (context.out.json && files > 0)
      context.out.line(`],"error":${JSON.stringify(failureJson(describeFailure(error)).error)}}`);
    throw error;
  }
  if (context.out.json)
    context.out.line(`${files === 0 ? head(uri) : ''}],"files":${files},"bytes":${bytes}}`);
  context.log('info', `${count(files, 'file')}, ${formatBytes(bytes)}`, {
    event: 'listed',
    uri,
    files,
    bytes,
  });
}

function head(uri: string): string {
  return `{"uri":${JSON.stringify(redactText(uri))},"entries":[`;
}

function printEntry({ out }: Context, uri: string, entry: Entry, first: boolean): void {
  // Paths are printed exactly: a name that looks like a secret is still the name.
  if (out.json) {
    out.text(`${first ? head(uri) : ','}${JSON.stringify(entry)}`);
    return;
  }
  const size = (entry.size === undefined ? '?' : formatBytes(entry.size)).padStart(SIZE_WIDTH);
  out.line(`${out.paint.dim(size)}  ${oneLine(entry.path)}`);
}
