/**
 * Seldon Core's way to name a store: `remote:bucket/path`, with rclone's variables `RCLONE_CONFIG_<REMOTE>_*` for the remote.
 * A remote becomes a scheme that points at one of ours, in an environment of its own.
 */
import { createRegistry } from '../create-registry.ts';
import { ModelFetchError } from '../errors.ts';
import type { Resolver } from '../fetcher.ts';
import type { Env, Registration } from '../registry.ts';
import { gcsEnv, httpEnv, s3Env, type Remote } from './seldon/remote-env.ts';

/** How the types of remotes are served: the variables of our scheme, and the URI in it. */
interface Kind {
  readonly env: (remote: Remote, env: Env) => Env;
  readonly uri: (remote: Remote, path: string) => string;
}

const S3: Kind = { env: s3Env, uri: (_remote, path) => `s3://${bare(path)}` };
const GCS: Kind = { env: gcsEnv, uri: (_remote, path) => `gs://${bare(path)}` };
const HTTP: Kind = {
  env: httpEnv,
  uri: ({ settings }, path) => `${(settings['URL'] ?? '').replace(/\/+$/, '')}/${bare(path)}`,
};

/** By rclone's names. Source: https://rclone.org/docs/, the pages of each storage system. */
const KINDS: Readonly<Record<string, Kind>> = {
  s3: S3,
  'google cloud storage': GCS,
  gcs: GCS,
  http: HTTP,
};

/** Schemes that a remote of that name must not take away: behind `//` they name a place of their own. */
const KEPT = ['http', 'https', 'file', 'pvc', 'phfs', 'nfs'];

/** The remotes that `env` describes, as registrations. One named `s3` or `gs` answers for `s3://` and `gs://` too. */
export function remoteRegistrations(env: Env): Registration[] {
  return remotesOf(env).map((remote) => {
    const isScheme = /^[a-z][a-z0-9+.-]*$/.test(remote.name) && !KEPT.includes(remote.name);
    return {
      name: `remote ${remote.name}`,
      schemes: isScheme ? [remote.name] : [],
      form: `${remote.name}:bucket/path`,
      // Names with an underscore are no schemes.
      ...(!isScheme && { claims: ({ raw }) => pathIn(remote, raw)?.startsWith('//') === false }),
      load: () => Promise.resolve(resolverFor(remote, env)),
    };
  });
}

function remotesOf(env: Env): Remote[] {
  const names = Object.keys(env).flatMap((variable) => {
    const name = /^RCLONE_CONFIG_(.+)_TYPE$/.exec(variable)?.[1];
    return name === undefined ? [] : [name];
  });
  return names.map((name) => {
    const prefix = `RCLONE_CONFIG_${name}_`;
    const settings: Record<string, string> = {};
    for (const [variable, value] of Object.entries(env))
      if (variable.startsWith(prefix) && value !== undefined && value.trim() !== '')
        settings[variable.slice(prefix.length)] = value.trim();
    return { name: name.toLowerCase(), settings };
  });
}

function resolverFor(remote: Remote, env: Env): Resolver {
  const type = (remote.settings['TYPE'] ?? '').toLowerCase();
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  const inner = kind && createRegistry({ env: kind.env(remote, env) });
  const reach = async (raw: string) => {
    if (!kind || !inner)
      throw new ModelFetchError(
        'UNSUPPORTED',
        `the remote ${remote.name} is of type ${JSON.stringify(type)}`,
        { uri: raw, hint: `Remotes may be of type ${Object.keys(KINDS).join(', ')}.` },
      );
    return inner.resolver(kind.uri(remote, pathIn(remote, raw) ?? ''));
  };
  return {
    async resolve({ raw }, context) {
      const { ref, resolver } = await reach(raw);
      return resolver.resolve(ref, context);
    },
    async explain({ raw }, context) {
      const { ref, resolver } = await reach(raw);
      const explanation = await resolver.explain?.(ref, context);
      return { parts: {}, credentials: 'none', ...explanation };
    },
  };
}

/** What follows `remote:`; undefined when `raw` names something else. rclone ignores the case of names from variables. */
function pathIn({ name }: Remote, raw: string): string | undefined {
  return raw.slice(0, name.length + 1).toLowerCase() === `${name}:`
    ? raw.slice(name.length + 1)
    : undefined;
}

/** `s3://bucket/path` is the path `//bucket/path` of the remote `s3`. */
function bare(path: string): string {
  return path.replace(/^\/+/, '');
}
