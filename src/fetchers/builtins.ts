/** The schemes that come with the package: one line each, loaded when first needed. */
import type { Registration } from '../registry.ts';

// prettier-ignore
export const builtins: readonly Registration[] = [
  { name: 'file', schemes: ['file'], form: 'file:///path, /path', load: async (env) => (await import('./file.ts')).fromEnv(env) },
  { name: 'pvc', schemes: ['pvc'], form: 'pvc://claim/path', load: async (env) => (await import('./pvc.ts')).fromEnv(env) },
  { name: 'http', schemes: ['http', 'https'], form: 'https://host/path/file', load: async (env) => (await import('./http.ts')).fromEnv(env) },
  { name: 's3', schemes: ['s3', 's3a'], form: 's3://bucket/prefix', load: async (env) => (await import('./s3.ts')).fromEnv(env) },
  { name: 'gs', schemes: ['gs'], form: 'gs://bucket/prefix[#generation]', load: async (env) => (await import('./gcs.ts')).fromEnv(env) },
  { name: 'phfs', schemes: ['phfs'], form: 'phfs:///path', load: async (env) => (await import('./mounted.ts')).phfsFromEnv(env) },
  { name: 'nfs', schemes: ['nfs'], form: 'nfs://host/path', load: async (env) => (await import('./mounted.ts')).nfsFromEnv(env) },
];
