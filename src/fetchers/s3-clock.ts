/** Temporary credentials end by the server's clock, which is not always ours. */
import type { S3Client } from '@aws-sdk/client-s3';

type Provider = S3Client['config']['credentials'];
type Identity = Awaited<ReturnType<Provider>>;
/** The SDK's memo takes options that its type does not show. */
type Asked = (how?: { readonly forceRefresh?: boolean }) => Promise<Identity>;

/** Milliseconds before their end from which credentials are renewed, as in the SDK. */
const MARGIN = 5 * 60_000;

/**
 * `provider`, which takes credentials for expired by this machine's clock, with the end judged by the server's: where this
 * clock is hours ahead a role would otherwise be assumed for every request. `offset`: milliseconds to add to this clock.
 */
export function byServerClock(provider: Provider, offset: () => number): Provider {
  const ask = provider as Asked;
  let kept: Identity | undefined;
  const serve: Asked = async (how) => {
    const isGood = kept && !how?.forceRefresh && !endsSoon(kept, offset());
    if (!isGood) kept = await ask(kept || how?.forceRefresh ? { forceRefresh: true } : undefined);
    return kept!;
  };
  return serve as Provider;
}

function endsSoon({ expiration }: Identity, offset: number): boolean {
  return expiration !== undefined && expiration.getTime() - (Date.now() + offset) < MARGIN;
}
