/**
 * Reads the YAML of `deploy/`: mappings and sequences in blocks and in flow, quoted and plain scalars, anchors on blocks,
 * literal texts. Throws at what else there is in YAML, so that nothing is misread. One document a text.
 */

export type Yaml =
  string | number | boolean | null | readonly Yaml[] | { readonly [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
}

export function parseYaml(text: string): Yaml {
  const parser = new Parser(text);
  return parser.document();
}

const KEY = /^((?:'[^']*'|"[^"]*"|[^\s'"#{[&*|>-][^:#]*?|-[^\s:]+)):(?: +(.*))?$/;

class Parser {
  readonly #raw: readonly string[];
  readonly #anchors = new Map<string, Yaml>();
  #at = 0;

  constructor(text: string) {
    this.#raw = text.split('\n');
  }

  document(): Yaml {
    const first = this.#peek();
    if (!first) return null;
    const value = this.#block(first.indent);
    const rest = this.#peek();
    if (rest) throw new Error(`line ${String(this.#at + 1)} does not belong here: ${rest.text}`);
    return value;
  }

  /** The next line that says something, without its comment. */
  #peek(): Line | undefined {
    for (; this.#at < this.#raw.length; this.#at++) {
      const line = this.#raw[this.#at]!.replace(/(^|\s)#.*$/, '').trimEnd();
      if (line !== '') return { indent: line.search(/\S/), text: line.trim() };
    }
    return undefined;
  }

  #block(indent: number): Yaml {
    return this.#peek()!.text.startsWith('- ') ? this.#sequence(indent) : this.#mapping(indent);
  }

  #sequence(indent: number): Yaml[] {
    const items: Yaml[] = [];
    for (let line = this.#peek(); line?.indent === indent; line = this.#peek()) {
      if (!line.text.startsWith('- ')) break;
      const rest = line.text.slice(2).trimStart();
      if (KEY.test(rest)) items.push(this.#mapping(indent + line.text.length - rest.length, rest));
      else {
        this.#at++;
        items.push(this.#inline(rest));
      }
    }
    return items;
  }

  /** `first`: what stands behind a dash. */
  #mapping(indent: number, first?: string): Record<string, Yaml> {
    const found: Record<string, Yaml> = {};
    let text = first;
    for (;;) {
      const line = text === undefined ? this.#peek() : { indent, text };
      if (line?.indent !== indent || line.text.startsWith('- ')) return found;
      const [, key, value = ''] = KEY.exec(line.text) ?? [];
      if (key === undefined) throw new Error(`line ${String(this.#at + 1)}: ${line.text}`);
      this.#at++;
      found[String(scalar(key))] = this.#value(value, indent);
      text = undefined;
    }
  }

  #value(text: string, indent: number): Yaml {
    if (text === '|-') return this.#literal(indent);
    const [, anchor] = /^&(\S+)$/.exec(text) ?? [];
    if (text !== '' && anchor === undefined) return this.#inline(text);
    const next = this.#peek();
    const deeper =
      next && (next.indent > indent || (next.indent === indent && next.text.startsWith('- ')));
    const value = deeper ? this.#block(next.indent) : null;
    if (anchor !== undefined) this.#anchors.set(anchor, value);
    return value;
  }

  #literal(indent: number): string {
    const lines: string[] = [];
    for (; this.#at < this.#raw.length; this.#at++) {
      const line = this.#raw[this.#at]!;
      if (line.trim() !== '' && line.search(/\S/) <= indent) break;
      lines.push(line);
    }
    const margin = lines[0]?.search(/\S/) ?? 0;
    return lines
      .map((line) => line.slice(margin))
      .join('\n')
      .trimEnd();
  }

  #inline(text: string): Yaml {
    if (text.startsWith('*')) {
      const value = this.#anchors.get(text.slice(1));
      if (value === undefined) throw new Error(`no anchor ${text}`);
      return value;
    }
    return /^[[{]/.test(text) ? flow(text) : scalar(text);
  }
}

/** `{ a: b, c: [d] }` and the like, in one line. */
function flow(text: string): Yaml {
  const tokens =
    text.match(
      /'[^']*'|"[^"]*"|[{}[\],]|:(?= )|[^\s{}[\],'":][^{}[\],'"]*?(?=: |\s*[{}[\],]|$)/g,
    ) ?? [];
  let at = 0;
  const value = (): Yaml => {
    const token = tokens[at++];
    if (token === '[') return items(']', value);
    if (token !== '{') return scalar(token ?? '');
    const pairs = items('}', (): readonly [string, Yaml] => {
      const key = String(scalar(tokens[at++]!));
      if (tokens[at++] !== ':') throw new Error(`no value for ${key} in ${text}`);
      return [key, value()];
    });
    return Object.fromEntries(pairs);
  };
  const items = <T>(end: string, item: () => T): T[] => {
    const found: T[] = [];
    while (tokens[at] !== end) {
      found.push(item());
      if (tokens[at] === ',') at++;
      else if (tokens[at] !== end) throw new Error(`${end} is missing in ${text}`);
    }
    at++;
    return found;
  };
  const whole = value();
  if (at !== tokens.length) throw new Error(`too much in ${text}`);
  return whole;
}

function scalar(text: string): string | number | boolean | null {
  if (/^'.*'$|^".*"$/s.test(text)) return text.slice(1, -1);
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null' || text === '~' || text === '') return null;
  return /^-?\d+$/.test(text) ? Number(text) : text;
}
