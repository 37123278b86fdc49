/**
 * The frame of a tar: which blocks are headers, which are bodies, where it ends. It stands in front of `tar`'s parser,
 * hands it whole blocks only, and refuses what the parser would silently get wrong.
 */
import type { Budget } from './limits.ts';
import { badArchive, unsafeMember } from './refuse.ts';
import {
  BLOCK,
  checksumHolds,
  gnuName,
  isZero,
  paxFacts,
  prefixIsClear,
  shownName,
  sizeField,
  typeFlag,
} from './tar-fields.ts';

/** What the next header is about, as the frame understands it. The parser must agree. */
export interface Member {
  readonly kind: 'file' | 'directory' | 'symlink' | 'hardlink';
  /** Bytes of its body. */
  readonly size: number;
}

export interface BlockSink {
  /** Before the header of a member goes to `blocks`. */
  member(member: Member): void;
  /** Whole blocks, only valid during the call. */
  blocks(blocks: Buffer): void;
}

const KINDS: Readonly<Record<string, Member['kind']>> = {
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};
const REFUSED: Readonly<Record<string, string>> = {
  '3': 'it is a character device',
  '4': 'it is a block device',
  '6': 'it is a named pipe',
};
/** Of one extended header or long name. */
const MOST_META = 1024 * 1024;

interface Meta {
  readonly type: string;
  readonly size: number;
  readonly body: Buffer;
  filled: number;
}

/** Facts announced by extended headers, waiting for the member they are about. */
interface Pending {
  pax?: true;
  name?: true;
  link?: true;
  size?: number;
}

export class TarBlocks {
  readonly #sink: BlockSink;
  readonly #budget: Budget;
  /** A block that has not wholly arrived. */
  readonly #held = Buffer.alloc(BLOCK);
  #heldLength = 0;
  /** The body of an extended header, padding included, while it is gathered. */
  #meta: Meta | undefined;
  #pending: Pending = {};
  /** Bytes of the current body that are still to come, padding included. */
  #body = 0;
  #zeroBlocks = 0;
  #started = false;

  constructor(sink: BlockSink, budget: Budget) {
    this.#sink = sink;
    this.#budget = budget;
  }

  /** Takes the next bytes, however they are cut. */
  write(chunk: Uint8Array): void {
    let at = 0;
    if (this.#heldLength > 0) {
      at = Math.min(BLOCK - this.#heldLength, chunk.length);
      this.#held.set(chunk.subarray(0, at), this.#heldLength);
      this.#heldLength += at;
      if (this.#heldLength < BLOCK) return;
      this.#heldLength = 0;
      this.#blocks(this.#held);
    }
    const whole = at + Math.floor((chunk.length - at) / BLOCK) * BLOCK;
    if (whole > at) this.#blocks(Buffer.from(chunk.buffer, chunk.byteOffset + at, whole - at));
    this.#held.set(chunk.subarray(whole));
    this.#heldLength = chunk.length - whole;
  }

  /** No more bytes. Throws `BAD_ARCHIVE` unless the end of the archive has been seen and nothing but zeros followed. */
  end(): void {
    if (!this.#started && this.#heldLength > 0) throw notTar();
    if (this.#zeroBlocks < 2)
      throw badArchive(
        this.#started ? 'it ends early' : 'it is empty',
        'It was cut short: upload it again.',
      );
    if (!isZero(this.#held.subarray(0, this.#heldLength))) throw afterTheEnd();
  }

  #blocks(blocks: Buffer): void {
    for (let at = 0; at < blocks.length;) {
      if (this.#body > 0) {
        const part = blocks.subarray(at, at + this.#body);
        this.#sink.blocks(part);
        this.#body -= part.length;
        at += part.length;
      } else if (this.#meta) {
        at += this.#gather(this.#meta, blocks.subarray(at));
      } else {
        this.#header(blocks.subarray(at, at + BLOCK));
        at += BLOCK;
      }
    }
  }

  #header(block: Buffer): void {
    this.#budget.overhead(BLOCK);
    if (isZero(block)) {
      this.#zero(block);
      return;
    }
    if (this.#zeroBlocks > 0) throw afterTheEnd();
    if (!checksumHolds(block))
      throw this.#started ? badArchive('a header in it is damaged') : notTar();
    this.#started = true;
    const type = typeFlag(block);
    const size = sizeField(block);
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      this.#announce(type, size);
      this.#sink.blocks(block);
      return;
    }
    const member = this.#member(block, type, size);
    this.#pending = {};
    this.#budget.member(member.size);
    this.#sink.member(member);
    this.#sink.blocks(block);
    this.#body = Math.ceil(member.size / BLOCK) * BLOCK;
  }

  #zero(block: Buffer): void {
    if (this.#pending.pax || this.#pending.name || this.#pending.link)
      throw badArchive('it ends after an extended header');
    this.#started = true;
    this.#zeroBlocks++;
    if (this.#zeroBlocks <= 2) this.#sink.blocks(block);
  }

  #member(block: Buffer, type: string, inHeader: number): Member {
    const kind = KINDS[type];
    if (!kind) {
      if (type === 'S')
        throw badArchive('it holds a sparse file', 'Make the archive again without --sparse.');
      throw unsafeMember(
        shownName(block),
        REFUSED[type] ?? `its type ${JSON.stringify(type)} is unknown`,
      );
    }
    if (!this.#pending.name && !prefixIsClear(block))
      throw badArchive('a header in it can be read in two ways');
    const size = this.#pending.size ?? inHeader;
    if (kind !== 'file' && size !== 0) throw badArchive(`a ${kind} in it claims to have content`);
    return { kind, size };
  }

  /** An extended header begins. Two of a kind for one member are read differently by every reader. */
  #announce(type: 'x' | 'g' | 'L' | 'K', size: number): void {
    if (size > MOST_META) throw badArchive('an extended header in it is larger than a MiB');
    if (size === 0 && type !== 'x' && type !== 'g') throw badArchive('a long name in it is empty');
    const key = ({ x: 'pax', L: 'name', K: 'link', g: undefined } as const)[type];
    if (key && this.#pending[key])
      throw badArchive('two extended headers of a kind stand before one member');
    if (key) this.#pending[key] = true;
    if (size === 0) return;
    const padded = Math.ceil(size / BLOCK) * BLOCK;
    this.#budget.overhead(padded);
    this.#meta = { type, size, body: Buffer.allocUnsafe(padded), filled: 0 };
  }

  /** Hands an extended header over in one piece: the parser would decode its text chunk by chunk. */
  #gather(meta: Meta, blocks: Buffer): number {
    const part = blocks.subarray(0, meta.body.length - meta.filled);
    meta.body.set(part, meta.filled);
    meta.filled += part.length;
    if (meta.filled < meta.body.length) return part.length;
    this.#meta = undefined;
    const content = meta.body.subarray(0, meta.size);
    if (meta.type === 'L' || meta.type === 'K') {
      gnuName(content);
    } else {
      const facts = paxFacts(content, meta.type === 'g');
      if (
        (facts.path !== undefined && this.#pending.name) ||
        (facts.linkpath !== undefined && this.#pending.link)
      )
        throw badArchive('a member in it is named twice, in two ways');
      if (facts.path !== undefined) this.#pending.name = true;
      if (facts.linkpath !== undefined) this.#pending.link = true;
      if (facts.size !== undefined) this.#pending.size = facts.size;
    }
    this.#sink.blocks(meta.body);
    return part.length;
  }
}

function notTar(): Error {
  return badArchive('it is no tar archive');
}

function afterTheEnd(): Error {
  return badArchive(
    'something follows its end',
    'Two archives were joined, or the file was damaged: make it again.',
  );
}
