/**
 * The objects of a page of ListObjectsV2, taken out of its XML before the SDK reads what is left of it. The SDK turns every
 * object into a tree, and into values nobody asks for: most of what a long listing costs. Only the form that every server
 * writes is understood here; a page with anything else in it goes to the SDK whole.
 */
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ListObjectsV2Command } from '@aws-sdk/client-s3';

/** By the names of the SDK, whose objects stand in for these. */
export interface ListedObject {
  readonly Key?: string | undefined;
  readonly Size?: number | undefined;
  readonly ETag?: string | undefined;
}

/** What the SDK has received, as far as it matters here. */
interface Answer {
  readonly statusCode?: number;
  body?: unknown;
}

/** Prepares `command`; answers what to call for the objects of its answer, before those that the SDK still names. */
export function takingObjects(command: ListObjectsV2Command): () => readonly ListedObject[] {
  let objects: readonly ListedObject[] = [];
  command.middlewareStack.add(
    (next) => async (args) => {
      objects = [];
      const result = await next(args);
      const response = result.response as Answer;
      if (response.statusCode !== 200 || !(response.body instanceof Readable)) return result;
      const xml = await text(response.body);
      const taken = takeObjects(xml);
      if (taken) ({ objects } = taken);
      response.body = Buffer.from(taken?.rest ?? xml);
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'takingObjects' },
  );
  return () => objects;
}

const OPEN = '<Contents>';
const CLOSE = '</Contents>';

/** Undefined where anything is not as expected. */
export function takeObjects(
  xml: string,
): { objects: readonly ListedObject[]; rest: string } | undefined {
  // Comments, CDATA and document types hide text from whoever looks for tags, attributes change their form.
  if (xml.includes('<!') || xml.includes('<Contents ')) return undefined;
  const objects: ListedObject[] = [];
  let rest = '';
  let from = 0;
  for (;;) {
    const open = xml.indexOf(OPEN, from);
    if (open < 0) return { objects, rest: rest + xml.slice(from) };
    const close = xml.indexOf(CLOSE, open);
    if (close < 0) return undefined;
    const object = objectOf(xml.slice(open + OPEN.length, close));
    if (!object) return undefined;
    objects.push(object);
    rest += xml.slice(from, open);
    from = close + CLOSE.length;
  }
}

/** Elements of text, or of such elements, and nothing else. */
const PLAIN = /^(?:\s*<(\w+)>(?:[^<]*|(?:\s*<(\w+)>[^<]*<\/\2>)+\s*)<\/\1>)*\s*$/;

function objectOf(xml: string): ListedObject | undefined {
  if (!PLAIN.test(xml)) return undefined;
  const Key = textOf(xml, '<Key>');
  const size = textOf(xml, '<Size>') ?? '';
  const isTagged = xml.includes('<ETag>');
  const ETag = isTagged ? textOf(xml, '<ETag>') : undefined;
  if (Key === undefined || !/^\d{1,15}$/.test(size) || (isTagged && ETag === undefined))
    return undefined;
  return { Key, Size: Number(size), ETag };
}

/** What the only element of that tag holds. */
function textOf(xml: string, tag: string): string | undefined {
  const at = xml.indexOf(tag);
  if (at < 0 || xml.includes(tag, at + 1)) return undefined;
  const start = at + tag.length;
  return decoded(xml.slice(start, xml.indexOf('<', start)));
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** Undefined where there is another entity, or white space at an end: the SDK knows what it makes of them. */
function decoded(raw: string): string | undefined {
  if (raw.trim() !== raw) return undefined;
  // Around every ETag.
  const unquoted = raw.replaceAll('&quot;', '"');
  if (!unquoted.includes('&')) return unquoted;
  if (/&(?!(?:amp|lt|gt|quot|apos);)/.test(raw)) return undefined;
  return raw.replaceAll(/&(\w+);/g, (_, name: string) => ENTITIES[name]!);
}
