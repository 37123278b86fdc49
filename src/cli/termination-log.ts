/** The line that `kubectl describe pod` shows for a container that ended. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { redactText } from '../redact.ts';
import type { Env } from '../registry.ts';
import { oneLine } from './format.ts';

const DEFAULT_PATH = '/dev/termination-log';
/** What the kubelet keeps. Source: Kubernetes, "Determine the Reason for Pod Failure". */
const MOST_BYTES = 4096;

/** Where the line goes: what was asked for, else Kubernetes's file when we run there and may write it. */
export function terminationLogPath(
  asked: string | false | undefined,
  env: Env,
  kubernetes = DEFAULT_PATH,
): string | undefined {
  if (asked !== undefined) return asked === false ? undefined : asked;
  if (!env['KUBERNETES_SERVICE_HOST']) return undefined;
  try {
    accessSync(kubernetes, constants.W_OK);
    return kubernetes;
  } catch {
    return undefined;
  }
}

/** Writes `line`, redacted and cut to 4096 bytes. */
export function writeTerminationLog(path: string, line: string): void {
  writeFileSync(path, cut(`${oneLine(redactText(line))}\n`));
}

/** At most 4096 bytes of UTF-8, cut between characters, never inside one. */
export function cut(text: string, most = MOST_BYTES): string {
  const buffer = Buffer.from(text);
  if (buffer.length <= most) return text;
  let end = most - Buffer.byteLength('…\n');
  while (end > 0 && (buffer[end]! & 0xc0) === 0x80) end--;
  return `${buffer.toString('utf8', 0, end)}…\n`;
}
