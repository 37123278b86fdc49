/** What the package exports. No logic. */
export {
  fetchModel,
  fetchModels,
  planModels,
  listModel,
  explainModel,
  verifyTarget,
} from './fetch-model.ts';
export type { Pair, FetchResult, PlannedTarget } from './fetch-model.ts';
export { ModelFetchError, EXIT_STATUS } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export { createRegistry } from './create-registry.ts';
export { ResolverRegistry } from './registry.ts';
export type { Registration, Env } from './registry.ts';
export type { FetchOptions } from './options.ts';
export type { FetchEvent, Reporter } from './events.ts';
export { parseRef, type Ref } from './ref.ts';
export type * from './fetcher.ts';
