/** Removing secrets from what people and logs get to see. Every text that leaves the process passes through here. */

/** Query parameters that carry authority: SigV4 and V2, GCS, Azure SAS, CloudFront, OAuth and the usual names. */
const SECRET_PARAMETER =
  /([?&;](?:x-amz-[a-z-]*|x-goog-[a-z-]*|awsaccesskeyid|googleaccessid|signature|sig|se|sp|sv|st|spr|skoid|sktid|ske|sks|skv|policy|key-pair-id|token|delegation|access_token|id_token|refresh_token|auth|authorization|api[-_]?key|apikey|key|secret|client_secret|password|passwd|pwd|credential|credentials)=)[^&#\s"'<>]*/gi;
/** `scheme://user:password@` and `scheme://token@`. Whatever the scheme: to look for its start takes for ever in long words. */
const USERINFO = /(:\/\/)[^/?#\s"'<>]+@/g;
/** Tokens recognisable by their own form, wherever they stand. Bounded, or a text of beginnings takes for ever. */
const BARE_TOKEN =
  /\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|ya29\.[\w-]{10,}|eyJ[\w-]{8,2000}\.[\w-]{8,}\.[\w-]*)/g;
/** The header as a whole: its parts are separated by commas. */
const SIGV4 =
  /\b(aws4-hmac-sha256)(\s+)(?:(?:credential|signedheaders|signature)=[^\s,"']+[\s,]*)+/gi;
const AUTHORIZATION = /\b(bearer|basic|aws4-hmac-sha256)(\s+)[^\s,;"'][^\s"']*/gi;
/**
 * The last words of names that secrets go by, in a variable, a field or a flag: `AWS_SECRET_ACCESS_KEY`, `clientSecret`. A
 * name with something after them is another thing (`TOKEN_FILE` names a file).
 */
const SECRET_WORD = String.raw`(?:(?:secret|private|account|signing|encryption|api|shared)[-_]?(?:access[-_]?)?key|storage[-_]?access[-_]?key|secret|password|passwd|passphrase|pwd|token|credentials?)`;
/** `NAME=value` and `--name=value`, quoted or not, to the next space; a switch is no secret. Parameters of URLs are seen to before. */
const ASSIGNMENT = new RegExp(
  String.raw`(?<![?&;\w-])([\w-]{0,60}${SECRET_WORD}\s?=\s?)(?!(?:true|false)\b)("[^"]*"?|'[^']*'?|[^\s"'\\]+)`,
  'gi',
);
/** The beginning of `"name": "value"` in JSON or Python, also where that text is quoted itself, and its quotes escaped. */
const FIELD = new RegExp(
  String.raw`((\\{0,3})["'])[\w.-]{0,60}${SECRET_WORD}\1\s{0,9}:\s{0,9}\2(["'])`,
  'gi',
);

/** `text` with every secret it is known to hold replaced by `REDACTED`. */
export function redactText(text: string): string {
  return withoutFields(text)
    .replace(USERINFO, '$1REDACTED@')
    .replace(SECRET_PARAMETER, '$1REDACTED')
    .replace(SIGV4, '$1$2REDACTED')
    .replace(AUTHORIZATION, '$1$2REDACTED')
    .replace(BARE_TOKEN, 'REDACTED')
    .replace(ASSIGNMENT, '$1REDACTED');
}

/** Values of secret fields replaced. What was JSON stays JSON. */
function withoutFields(text: string): string {
  let shown = '';
  let from = 0;
  FIELD.lastIndex = 0;
  for (let start = FIELD.exec(text); start; start = FIELD.exec(text)) {
    shown += `${text.slice(from, FIELD.lastIndex)}REDACTED`;
    from = endOfQuoted(text, FIELD.lastIndex, start[3]!, start[2]!.length);
    FIELD.lastIndex = from;
  }
  return shown + text.slice(from);
}

/** Where the quoted text that goes on at `from` ends: at a quote with as many backslashes as it was begun with, or in the middle. */
function endOfQuoted(text: string, from: number, quote: string, backslashes: number): number {
  for (let at = text.indexOf(quote, from); at !== -1; at = text.indexOf(quote, at + 1)) {
    let run = 0;
    while (at - run > from && text[at - run - 1] === '\\') run++;
    // A backslash that belongs to the value is written with twice as many as a quote is escaped with, and one more each time.
    if (run % (2 * (backslashes + 1)) === backslashes) return at - backslashes;
  }
  return text.length;
}
