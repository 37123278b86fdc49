/** The init containers that KServe's own webhook makes, as a real API server answered them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}

export interface InitContainer {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: readonly EnvVar[];
  readonly terminationMessagePath: string;
  readonly volumeMounts: readonly { readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface Pod {
  readonly initContainers: readonly InitContainer[];
}

const FILE = join(import.meta.dirname, '../../../shared/vectors/kserve/pods.json');

/** Undefined where the recordings are not at hand. */
export const pods: Readonly<Record<string, Pod>> | undefined = existsSync(FILE)
  ? (JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, Pod>)
  : undefined;

export const SKIP = pods ? false : 'the recorded pods are not beside this repository';
