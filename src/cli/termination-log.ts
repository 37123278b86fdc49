/** The line that `kubectl describe pod` shows for a container that ended. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { redactText } from '../redact.ts';
import type { Env } from '../registry.ts';
import { shortened } from './failure.ts';
import { oneLine } from './format.ts';

const DEFAULT_PATH = '/dev/termination-log';
/** What the kubelet keeps, less the newline. Source: Kubernetes, "Determine the Reason for Pod Failure". */
export const MOST_LINE_BYTES = 4095;

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

/** `text` as it may stand there: redacted, in one line, cut to what the kubelet keeps with the newline. */
export function terminationLine(text: string): string {
  return shortened(oneLine(redactText(text)), MOST_LINE_BYTES);
}

/** Writes a line that `terminationLine` or `failureRecord` made. */
export function writeTerminationLog(path: string, line: string): void {
  writeFileSync(path, `${line}\n`);
}
