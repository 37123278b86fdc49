/** A thread that runs errands over a network and a fast lane of its own. See `threads.ts`. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { createConnector, type NetworkOptions } from '../net/create-connector.ts';
import type { CrcAlgorithm } from '../verify/crc.ts';
import { writingMs } from '../write-clock.ts';
import { Leash, runErrand, type Errand } from './errand.ts';
import { toData, type ErrorData } from './error-data.ts';
import { createFastLane } from './fast-lane.ts';
import type { Head } from './lane.ts';
import type { FileMark } from './part-file.ts';

export type ToThread =
  | { readonly type: 'run'; readonly id: number; readonly errand: Errand }
  | { readonly type: 'shorten'; readonly id: number; readonly most: number }
  | { readonly type: 'stop'; readonly id: number };

/** Bytes that are in place since the last count, and the CRCs of all that the errand has so far, where they are worth a note. */
export type Count = readonly [
  id: number,
  bytes: number,
  crcs: ReadonlyMap<CrcAlgorithm, bigint> | undefined,
];

export type FromThread =
  | {
      readonly type: 'bytes';
      readonly counts: readonly Count[];
      /** Milliseconds that the thread has spent in writes so far. */
      readonly writingMs: number;
    }
  | { readonly type: 'shortened'; readonly id: number; readonly yes: boolean }
  | {
      readonly type: 'done';
      readonly id: number;
      readonly bytes: number;
      readonly crcs: ReadonlyMap<CrcAlgorithm, bigint>;
      readonly head: Head | undefined;
      readonly mark: FileMark | undefined;
      readonly error: ErrorData | undefined;
    };

/** Milliseconds between two counts: for the bar, the climb, and for what a killed run had. */
const COUNT_MS = 25;

const port = parentPort!;
const network = createConnector(workerData as NetworkOptions);
const { lane } = createFastLane({ network });
const running = new Map<number, { readonly leash: Leash; readonly stop: AbortController }>();
const counts = new Map<number, number>();
let telling: FromThread[] = [];
let counting: NodeJS.Timeout | undefined;
let counted = performance.now();

/** What is said in one turn goes together: for small files the messages would cost more than the bytes. */
function tell(message: FromThread): void {
  if (telling.push(message) === 1) setImmediate(post);
}

function post(): void {
  if (telling.length > 0) port.postMessage(telling);
  telling = [];
}

function count(id: number, bytes: number): void {
  counts.set(id, (counts.get(id) ?? 0) + bytes);
  if (performance.now() - counted < COUNT_MS) {
    counting ??= setTimeout(tellCounts, COUNT_MS);
    return;
  }
  // Where writes are slow, one turn of the event loop takes seconds, for which timers and messages would wait.
  tellCounts();
  post();
  for (let next = received(); next; next = received()) heedAll(next.message);
}

function tellCounts(): void {
  clearTimeout(counting);
  counting = undefined;
  counted = performance.now();
  tell({
    type: 'bytes',
    counts: [...counts].map(([id, bytes]) => [id, bytes, running.get(id)?.leash.crcs?.()]),
    writingMs: writingMs(),
  });
  counts.clear();
}

function received(): { readonly message: readonly ToThread[] } | undefined {
  return receiveMessageOnPort(port);
}

async function run(id: number, errand: Errand): Promise<void> {
  const stop = new AbortController();
  const leash = new Leash(stop.signal, (bytes) => {
    count(id, bytes);
  });
  running.set(id, { leash, stop });
  const { bytes, crcs, head, mark, error } = await runErrand(lane, errand, leash);
  running.delete(id);
  // `bytes` tells them all.
  counts.delete(id);
  tell({
    type: 'done',
    id,
    bytes,
    crcs,
    head,
    mark,
    error: error === undefined ? undefined : toData(error),
  });
}

function heed(message: ToThread): void {
  const { id } = message;
  switch (message.type) {
    case 'run':
      void run(id, message.errand);
      break;
    case 'shorten':
      tell({ type: 'shortened', id, yes: running.get(id)?.leash.shorten(message.most) ?? false });
      break;
    case 'stop':
      running.get(id)?.stop.abort(new Error('stopped'));
      break;
  }
}

function heedAll(messages: readonly ToThread[]): void {
  for (const message of messages) heed(message);
}

port.on('message', heedAll);
// Ready.
port.postMessage([]);
