/** `model-fetch <uri> <dest> …`: prints the path of each target, or with `--output json` an array of results. */
import type { FetchResult, Pair, PlannedTarget } from '../../fetch-model.ts';
import type { Context } from '../context.ts';
import { columns, count, formatBytes } from '../format.ts';
import { refuseUnknownCommand, toPairs } from '../grammar.ts';
import { Report, type Summary } from '../report.ts';

export async function run(context: Context): Promise<void> {
  const { operands, cwd, env, values, out } = context;
  refuseUnknownCommand(operands, cwd);
  const pairs = toPairs(operands, env);
  const options = await context.options();
  // Every URI is looked at before the first is fetched: a typing error in the last must not cost the first's download.
  const { parseRef } = await import('../../ref.ts');
  for (const { uri } of pairs) options.registry!.find(parseRef(uri));
  const report = new Report({
    ...context.style,
    ...context,
    ...progressOf(context),
    pairs: pairs.length,
  });
  try {
    const library = await import('../../fetch-model.ts');
    if (values.dryRun) {
      const plans = await library.planModels(pairs, { ...options, onEvent: report.onEvent });
      report.stop();
      if (out.json) out.document(plans);
      else for (const plan of plans) printPlan(context, plan);
      return;
    }
    const results = await library.fetchModels(pairs, { ...options, onEvent: report.onEvent });
    printResults(context, pairs, results, report.done(results));
  } finally {
    report.stop();
  }
}

function progressOf({ values, style, env }: Context): {
  progress: 'bar' | 'log' | 'json' | 'none';
  intervalMs: number;
} {
  const intervalMs = Math.max(100, values.progressIntervalMs ?? 10_000);
  const asked = values.progress ?? 'auto';
  if (asked === 'none' || values.quiet) return { progress: 'none', intervalMs };
  if (asked === 'json') return { progress: 'json', intervalMs };
  const drawn = style.terminal && style.logFormat === 'text' && !isSet(env['CI']);
  return { progress: drawn ? 'bar' : 'log', intervalMs };
}

function isSet(text: string | undefined): boolean {
  return text !== undefined && text !== '' && text !== 'false' && text !== '0';
}

function printResults(
  context: Context,
  pairs: readonly Pair[],
  results: readonly FetchResult[],
  { msg, figures }: Summary,
): void {
  if (context.out.json) context.out.document(results);
  else for (const { target } of results) context.out.line(target);
  context.summarize(msg, {
    event: 'done',
    status: 'done',
    targets: [...new Set(results.map((result) => result.target))],
    sources: results.flatMap((result) => result.sources).slice(0, pairs.length),
    ...figures,
  });
}

const VERBS = { keep: 'keep', fetch: 'fetch', unpack: 'unpack' } as const;

function printPlan({ out, log }: Context, plan: PlannedTarget): void {
  const rows = plan.items.map(({ path, size, how }) => [
    VERBS[how],
    size === undefined ? '?' : formatBytes(size),
    path,
  ]);
  const widest = Math.max(0, ...rows.map((row) => row[1]!.length));
  for (const line of columns(
    rows.map(([how, size, path]) => [how!, size!.padStart(widest), path!]),
  ))
    out.line(line);
  const todo = plan.items.filter((item) => item.how !== 'keep');
  const bytes = todo.reduce((total, item) => total + (item.size ?? 0), 0);
  const text =
    todo.length === 0
      ? `${plan.target} is up to date: ${count(plan.items.length, 'file')}`
      : `would fetch ${todo.length} of ${count(plan.items.length, 'file')}, ${formatBytes(bytes)}, into ${plan.target}`;
  log('info', text, {
    event: 'planned',
    target: plan.target,
    files: todo.length,
    totalFiles: plan.items.length,
    bytes,
  });
}
