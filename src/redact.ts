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

/** `text` with every secret it is known to hold replaced by `REDACTED`. */
export function redactText(text: string): string {
  return text
    .replace(USERINFO, '$1REDACTED@')
    .replace(SECRET_PARAMETER, '$1REDACTED')
    .replace(SIGV4, '$1$2REDACTED')
    .replace(AUTHORIZATION, '$1$2REDACTED')
    .replace(BARE_TOKEN, 'REDACTED');
}
