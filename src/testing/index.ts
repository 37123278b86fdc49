/** `model-fetch/testing`: what the author of a scheme needs to show that it keeps the contract. */
export { testResolver, runCase, caseNames } from './conformance.ts';
export type { CaseName, ConformanceOptions } from './conformance.ts';
export type { Files, Harness } from './harness.ts';
