/** What a server said with a refusal, for `cause`: it holds the ids that its operators ask for. */
import { redactText } from '../redact.ts';

/** Enough for every store's error body; not for a proxy's whole page. */
const MOST_CHARACTERS = 2000;
/** Amazon repeats what it was sent: the session token, the signature and what it was made of. */
const REPEATED =
  /<(Token-\d+|AWSAccessKeyId|SignatureProvided|StringToSign\w*|CanonicalRequest\w*)>[^<]*/g;

/** The body as an error to be the cause of a typed one, without secrets; undefined without a body. */
export function serverSaid(status: number, body: string | undefined): Error | undefined {
  const text = body?.replace(REPEATED, '<$1>REDACTED').trim().slice(0, MOST_CHARACTERS);
  if (!text) return undefined;
  return new Error(`the server said, with status ${String(status)}: ${redactText(text)}`);
}
