/** `model-fetch doctor [uri] [dest]`: what works from here, a line a check. Fails with the status of the first thing that is needed and broken. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXIT_STATUS, ModelFetchError, type ErrorCode } from '../../errors.ts';
import type { Context } from '../context.ts';
import {
  checkCertificates,
  checkDest,
  checkLimits,
  checkProxy,
  checkUser,
  checkVersions,
  type Finding,
} from '../doctor.ts';
import { oneLine } from '../format.ts';
import { usageLine } from '../program.ts';

const USUAL_DEST = '/mnt/models';

export async function run(context: Context): Promise<void> {
  const { operands, env, out, cwd } = context;
  const [uri, dest, surplus] = operands;
  if (surplus !== undefined)
    throw new ModelFetchError(
      'INVALID_OPTION',
      `doctor takes a URI and a destination, not also ${surplus}`,
      { hint: usageLine('doctor') },
    );
  const findings: Finding[] = [];
  const tell = (finding: Finding): void => {
    findings.push(finding);
    if (!out.json) out.line(line(context, finding));
  };
  tell(checkVersions());
  tell(checkUser());
  tell(await checkDest(resolve(cwd, dest ?? usualDest(context)), dest !== undefined));
  tell(checkLimits());
  tell(await checkProxy(env));
  tell(await checkCertificates(env));
  if (uri === undefined) await lookAround(context, tell);
  else await lookAt(uri, context, tell);
  const broken = findings.filter((finding) => finding.status === 'fail');
  if (out.json) out.document({ ok: broken.length === 0, findings });
  if (broken.length > 0) throw verdict(broken);
}

function usualDest({ env }: Context): string {
  return env['OUTPUT_PATH'] ?? (existsSync(USUAL_DEST) ? USUAL_DEST : '.');
}

/** Without a URI: where the stores' credentials would come from. Having none may be right, so nothing here is a failure. */
async function lookAround(context: Context, tell: (finding: Finding) => void): Promise<void> {
  const { checkCredentials } = await import('../doctor-uri.ts');
  const options = await context.options();
  const asked = ['s3', 'gs'].map((scheme) =>
    checkCredentials(`${scheme}://bucket/model`, options, false),
  );
  for (const { finding } of await Promise.all(asked)) tell(finding);
}

async function lookAt(
  uri: string,
  context: Context,
  tell: (finding: Finding) => void,
): Promise<void> {
  const { checkClock, checkCredentials, checkListing } = await import('../doctor-uri.ts');
  const options = await context.options();
  const { finding, explanation } = await checkCredentials(uri, options, true);
  tell(finding);
  const url = [explanation?.endpoint, uri].find(
    (text) => text !== undefined && /^https?:\/\//i.test(text) && URL.canParse(text),
  );
  const looks = [
    ...(url === undefined ? [] : [checkClock(url, options, context.env)]),
    ...(finding.status === 'ok' ? [checkListing(uri, options)] : []),
  ];
  for (const look of await Promise.all(looks)) tell(look);
}

function line({ out }: Context, { check, status, detail, hint }: Finding): string {
  const paint = { ok: out.paint.green, warn: out.paint.yellow, fail: out.paint.red }[status];
  const text = `${paint(status.padEnd(4))}  ${check.padEnd(16)}  ${oneLine(detail)}`;
  return hint === undefined
    ? text
    : `${text}\n${' '.repeat(24)}${out.paint.dim(`hint: ${oneLine(hint)}`)}`;
}

function verdict(broken: readonly Finding[]): ModelFetchError {
  const [first] = broken as [Finding];
  const status = first.exit ?? EXIT_STATUS.INTERNAL;
  const code = (Object.keys(EXIT_STATUS) as ErrorCode[]).find(
    (name) => EXIT_STATUS[name] === status && name !== 'INVALID_URI',
  );
  return new ModelFetchError(
    code ?? 'INTERNAL',
    `${broken.map(({ check }) => check).join(', ')}: ${first.detail}`,
    {
      ...(first.hint !== undefined && { hint: first.hint }),
    },
  );
}
