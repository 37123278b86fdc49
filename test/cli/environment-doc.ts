/** Renders `docs/environment.md` from the table of variables. Run as a program it writes the file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SECRETS } from '../../src/cli/kserve/secret-files.ts';
import { VARIABLES } from '../../src/cli/kserve/variables.ts';

export const FILE = join(import.meta.dirname, '../../docs/environment.md');

const HEAD = `# The environment

model-fetch reads the variables below. Whoever changes the image of a KServe, Seldon Core or PrimeHub installation need not change
them. Every flag is a variable too: \`--stall-timeout\` is \`MODEL_FETCH_STALL_TIMEOUT\` (\`model-fetch --help\`); a flag wins over its
variable, and both win over what is here.

This page is written by \`node test/cli/environment-doc.ts\` from \`src/cli/kserve/variables.ts\`; \`test/cli/kserve-environment.test.ts\`
names the test of each variable.
`;

const FILES = `
## Secrets as files

A secret may also be given as a file: \`X_FILE\` names a file that holds what \`X\` would, for ${list(SECRETS)}, \`<host>-headers\`, and
\`SSE_CUSTOMER_KEY_BASE64\`, \`SERVICE_ACCOUNT_CREDENTIALS\` and \`HEADERS\` of a remote. White space around it is dropped. \`X\` itself
wins, with a warning. The file is read once, at the start.

Keys that change during a run come from files too (\`AWS_ACCESS_KEY_ID_FILE\`, \`AWS_SECRET_ACCESS_KEY_FILE\` and \`AWS_SESSION_TOKEN_FILE\`,
the same three of a remote, the profiles of AWS, the file of \`GOOGLE_APPLICATION_CREDENTIALS\`), from \`AWS_WEB_IDENTITY_TOKEN_FILE\`, Pod
Identity, instance metadata or Google's identities: these are asked again in time, or when the store no longer takes what they gave.
`;

function list(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

/** The whole page. */
export function render(): string {
  const titles = [...new Set(VARIABLES.map(({ group }) => group))];
  const tables = titles.map((title) => {
    const rows = VARIABLES.filter(({ group }) => group === title);
    const lines = rows.map(({ name, by, does }) => `| \`${name}\` | ${by} | ${does} |`);
    return `\n## ${title}\n\n| variable | set by | what it does |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
  });
  return `${HEAD}${tables.join('')}${FILES}`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(FILE, render());
