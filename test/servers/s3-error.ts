/** Errors as S3 tells them, and the XML they and the listings are written in. */

/** An answer that is an error. Source: Amazon S3 API reference, "Error responses". */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly status: number;
  readonly code: string;
  /** Further elements of the body, e.g. `Region`. */
  readonly details: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    more: {
      details?: Readonly<Record<string, string>>;
      headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = more.details ?? {};
    this.headers = more.headers ?? {};
  }

  /** The XML body. */
  body(resource: string, requestId: string): string {
    return document(
      'Error',
      element('Code', this.code) +
        element('Message', this.message) +
        Object.entries(this.details)
          .map(([name, value]) => element(name, value))
          .join('') +
        element('Resource', resource) +
        element('RequestId', requestId),
      false,
    );
  }
}

/** A whole document; S3's results carry its namespace, its errors do not. */
export function document(name: string, content: string, namespace = true): string {
  const ns = namespace ? ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' : '';
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name}${ns}>${content}</${name}>`;
}

/** `<name>text</name>`, escaped; nothing when there is no text. */
export function element(name: string, text: string | number | boolean | undefined): string {
  return text === undefined ? '' : `<${name}>${escape(String(text))}</${name}>`;
}

function escape(text: string): string {
  const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  // Control characters have no place in XML 1.0: this is why clients ask for encoding-type=url.
  return text.replace(
    /[&<>"]|[\u0000-\u001f]/g,
    (c) => named[c] ?? `&#${String(c.charCodeAt(0))};`,
  );
}
