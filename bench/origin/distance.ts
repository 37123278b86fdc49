/**
 * A network in between, in a process of its own: round-trip time, a rate for each connection and one for all of them.
 * `node distance.ts PORT` forwards to PORT; settings and questions come over IPC, the port it listens on goes back so.
 * A cap inside nginx would not do: its limit_rate lets the first second of every response through at full speed.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Bytes a second, and milliseconds. */
export interface Distance {
  readonly roundTripMs: number;
  readonly perConnection: number;
  readonly total: number;
  /** A connection is reset each time so many bytes have passed over all of them; 0: never. */
  readonly resetEvery: number;
}

/** What passed towards the client since the settings came, in slices of `SLICE_MS` from the first byte on. */
export interface Passed {
  readonly slices: readonly number[];
}

export const SLICE_MS = 250;

const TICK_MS = 2;
/** How much of what was not used may be used later. */
const BURST_MS = 40;
/** Beyond this a side is not read: it stands for the queue of a router. */
const QUEUE_BYTES = 32 * 2 ** 20;

let distance: Distance = {
  roundTripMs: 0,
  perConnection: Infinity,
  total: Infinity,
  resetEvery: 0,
};
let untilReset = 0;
let slices: number[] = [];
let begun: number | undefined;
const links = new Set<Link>();
const all = { tokens: 0, at: performance.now() };

/** One direction's bytes on their way, each piece with the time at which it may arrive. */
class Link {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #capped: boolean;
  readonly #queue: { piece: Buffer; due: number }[] = [];
  readonly #bucket = { tokens: 0, at: performance.now() };
  #waiting = 0;
  #ended = false;
  /** The first piece pays for the handshake, which the loopback made at once. */
  #first: boolean;

  constructor(from: Socket, to: Socket, towardsClient: boolean) {
    this.#from = from;
    this.#to = to;
    this.#capped = towardsClient;
    this.#first = !towardsClient;
    from.on('data', (piece: Buffer) => {
      this.#take(piece);
    });
    from.on('end', () => (this.#ended = true));
    const stop = (): void => {
      links.delete(this);
      from.destroy();
      to.destroy();
    };
    from.on('error', stop).on('close', () => {
      if (!this.#ended) stop();
    });
    to.on('error', stop).on('close', stop);
    links.add(this);
  }

  #take(piece: Buffer): void {
    const half = distance.roundTripMs / 2;
    this.#queue.push({ piece, due: performance.now() + half + (this.#first ? 2 * half : 0) });
    this.#first = false;
    this.#waiting += piece.length;
    if (this.#waiting > QUEUE_BYTES) this.#from.pause();
  }

  /** Hands on what is due and allowed now. */
  move(now: number): void {
    while (this.#queue.length > 0 && this.#queue[0]!.due <= now && !this.#to.writableNeedDrain) {
      const { piece, due } = this.#queue[0]!;
      const allowed = this.#capped
        ? Math.min(this.#allowance(now), refill(all, distance.total, now))
        : Infinity;
      const part = piece.subarray(0, Math.floor(Math.min(piece.length, allowed)));
      if (part.length === 0) break;
      if (part.length === piece.length) this.#queue.shift();
      else this.#queue[0] = { piece: piece.subarray(part.length), due };
      this.#hand(part, now);
    }
    if (this.#waiting < QUEUE_BYTES / 2) this.#from.resume();
    if (this.#ended && this.#queue.length === 0) this.#to.end();
  }

  #allowance(now: number): number {
    return refill(this.#bucket, distance.perConnection, now);
  }

  #hand(part: Buffer, now: number): void {
    this.#waiting -= part.length;
    this.#to.write(part);
    if (!this.#capped) return;
    this.#bucket.tokens -= part.length;
    all.tokens -= part.length;
    begun ??= now;
    const slice = Math.floor((now - begun) / SLICE_MS);
    slices[slice] = (slices[slice] ?? 0) + part.length;
    if (distance.resetEvery === 0 || (untilReset -= part.length) > 0) return;
    untilReset = distance.resetEvery;
    this.#to.resetAndDestroy();
  }
}

function refill(bucket: { tokens: number; at: number }, rate: number, now: number): number {
  if (rate === Infinity) return Infinity;
  const earned = ((now - bucket.at) / 1000) * rate;
  bucket.tokens = Math.min(bucket.tokens + earned, (BURST_MS / 1000) * rate);
  bucket.at = now;
  return bucket.tokens;
}

function tick(): void {
  const now = performance.now();
  for (const link of links) link.move(now);
  // Whoever was served first is served last next time: a shared rate is shared.
  const [first] = links;
  if (first && links.delete(first)) links.add(first);
}

if (process.send) {
  const port = Number(process.argv[2]);
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
    new Link(client, upstream, false);
    new Link(upstream, client, true);
  });
  setInterval(tick, TICK_MS);
  process.on('message', (message: { set?: Distance }) => {
    if (message.set) {
      distance = message.set;
      untilReset = distance.resetEvery;
      slices = [];
      begun = undefined;
    } else process.send!({ slices: Array.from(slices, (bytes: number | undefined) => bytes ?? 0) });
  });
  process.on('disconnect', () => process.exit());
  server.listen(0, '127.0.0.1', () =>
    process.send!({ port: (server.address() as AddressInfo).port }),
  );
}
