/** `s3://bucket/key-or-prefix`, and `s3a://` for the same. Loading this file loads the AWS SDK. */
import type { Explanation, HttpClient, Resolver } from '../fetcher.ts';
import type { Env } from '../registry.ts';
import { kserveAddress, parseS3 } from './s3-address.ts';
import { S3Access } from './s3-client.ts';
import { credentialSource } from './s3-explain.ts';
import { openS3 } from './s3-fetcher.ts';
import { optionsFromEnv, type S3Options } from './s3-options.ts';

export type { S3Keys, S3Options } from './s3-options.ts';

/** A resolver for S3 and what speaks its language. */
export function s3(options: S3Options = {}): Resolver {
  return resolver(options, {});
}

/**
 * The same, by the words of AWS, boto and KServe in `env`. Credentials that are not keys in `env` come from the SDK's own
 * chain, which reads the process's environment and its shared files.
 */
export function fromEnv(env: Env): Resolver {
  return resolver(optionsFromEnv(env), env);
}

function resolver(options: S3Options, env: Env): Resolver {
  const accesses = new WeakMap<HttpClient, S3Access>();
  const accessTo = (http: HttpClient): S3Access => {
    let access = accesses.get(http);
    if (!access) {
      access = new S3Access(options, http, () => credentialSource(options, env));
      accesses.set(http, access);
    }
    return access;
  };
  return {
    resolve: (ref, context) =>
      // Parsed inside the promise: what is wrong with a URI is a rejection.
      Promise.resolve().then(() => {
        const address = options.compat ? kserveAddress(parseS3(ref)) : parseS3(ref);
        return openS3(accessTo(context.http), address, context.signal);
      }),
    async explain(ref, context): Promise<Explanation> {
      const { bucket, key, versionId } = parseS3(ref);
      const style = options.addressing ?? (options.endpoint === undefined ? 'virtual' : 'path');
      return {
        parts: {
          bucket,
          key,
          ...(versionId !== undefined && { versionId }),
          region: await accessTo(context.http).region(bucket),
          addressing: options.accelerate && options.endpoint === undefined ? 'accelerated' : style,
        },
        credentials: await credentialSource(options, env),
        endpoint: options.endpoint ?? 'Amazon S3',
      };
    },
  };
}
