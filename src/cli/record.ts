/** What an event of a run says in the log. Pure. */
import type { FetchEvent } from '../events.ts';
import { count, formatBytes, formatSeconds } from './format.ts';
import type { Level, LogFields } from './log.ts';

export interface LogRecord {
  readonly level: Level;
  readonly msg: string;
  readonly fields: LogFields;
}

function record(level: Level, msg: string, fields: LogFields): LogRecord {
  return { level, msg, fields };
}

/** One event as a log record; `progress` has none, as the bar and the progress records tell it. */
export function recordOf(event: FetchEvent): LogRecord | undefined {
  switch (event.type) {
    case 'resolved': {
      const { uri, revision } = event;
      const at = revision === undefined ? '' : ` at ${revision}`;
      return record('info', `resolved ${uri}${at}`, {
        event: 'resolved',
        uri,
        ...(revision !== undefined && { revision }),
      });
    }
    case 'listed': {
      const { uri, files, bytes, kept } = event;
      const text = `found ${count(files, 'file')}, ${formatBytes(bytes)}${kept > 0 ? `; ${kept} already in place` : ''}`;
      return record('info', text, { event: 'listed', uri, files, totalBytes: bytes, kept });
    }
    case 'progress':
      return undefined;
    case 'retry': {
      const { path, at, inMs, attempt, code, message } = event;
      const text = `${path}: ${message} (attempt ${attempt + 1} in ${formatSeconds(inMs / 1000)}, from byte ${at})`;
      return record('warn', text, { event: 'retry', file: path, bytes: at, attempt, code, inMs });
    }
    case 'verified': {
      const { path, bytes, crc, against } = event;
      const how = against.length > 0 ? against.map(algorithm).join(', ') : 'its length';
      return record('debug', `${path} is whole, by ${how}`, {
        event: 'verified',
        file: path,
        bytes,
        crc,
        against,
      });
    }
    case 'unpacked': {
      const { path, format, files, bytes } = event;
      const text = `unpacked ${path} (${format}): ${count(files, 'file')}, ${formatBytes(bytes)}`;
      return record('info', text, { event: 'unpacked', file: path, format, files, bytes });
    }
    case 'warning':
      return record('warn', event.message, { event: 'warning' });
    case 'bound':
      return record('info', boundText(event), {
        event: 'bound',
        by: event.by,
        seconds: event.seconds,
        ofSeconds: event.ofSeconds,
        bytesPerSec: event.bytesPerSecond,
        share: event.share,
        cores: event.cores,
        quota: event.quota,
      });
    case 'published': {
      const { target, files, bytes, removed } = event;
      const text = `published ${count(files, 'file')} in ${target}${removed > 0 ? `, removed ${removed} stale` : ''}`;
      return record('info', text, { event: 'published', target, files, bytes, removed });
    }
    case 'unchanged': {
      const { target, files, bytes } = event;
      return record('info', `${target} is up to date`, {
        event: 'unchanged',
        target,
        files,
        bytes,
      });
    }
  }
}

/** Why a run is no faster, as one clause: `bound by the disk: 121 MiB/s; writes waited for it 93 % of the time`. */
export function boundText(event: FetchEvent & { type: 'bound' }): string {
  const { by, bytesPerSecond, share, cores, quota } = event;
  const percent = `${(share * 100).toFixed(0)} %`;
  // Binary, as the rates of volumes are sold.
  if (by === 'disk')
    return `bound by the disk: ${formatBytes(bytesPerSecond)}/s; writes waited for it ${percent} of the time`;
  const number = `${Number(cores.toFixed(2))} ${cores === 1 ? 'core' : 'cores'}`;
  if (!quota) return `bound by the CPU: all of ${number} in use`;
  return `bound by the CPU limit of ${number}${share > 0 ? `: used up in ${percent} of its periods` : ''}`;
}

function algorithm(digest: string): string {
  return digest.slice(0, digest.indexOf(':'));
}
