/** The suite that every scheme passes, built-in or not: about thirty cases on one harness. */
import { failingCases } from './cases-failing.ts';
import { listingCases } from './cases-listing.ts';
import { readingCases } from './cases-reading.ts';
import type { Harness } from './harness.ts';
import { NotForThisScheme, openScene, type Scene } from './scene.ts';

const CASES = { ...listingCases, ...readingCases, ...failingCases };

export type CaseName = keyof typeof CASES;

/** Every case by name, in the order they run. */
export const caseNames = Object.keys(CASES) as readonly CaseName[];

export interface ConformanceOptions {
  /** Cases the scheme cannot have, each with the reason, which is shown. */
  readonly except?: Partial<Record<CaseName, string>>;
}

/** Bounds one case, so that a fetcher that hangs fails instead of holding up the run. */
const CASE_TIMEOUT_MS = 60_000;

/**
 * Registers the cases with `node:test`. `makeHarness` is called once for every case. Call it at the top of a test file:
 * `testResolver('list+https', makeHarness)`.
 */
export function testResolver(
  name: string,
  makeHarness: () => Promise<Harness>,
  options: ConformanceOptions = {},
): void {
  // Asked for here, not imported: to load this module outside a test is harmless.
  const { suite, test } = process.getBuiltinModule('node:test');
  void suite(`${name} conforms`, () => {
    for (const caseName of caseNames) {
      const reason = options.except?.[caseName];
      void test(caseName, { timeout: CASE_TIMEOUT_MS, skip: reason ?? false }, async (t) => {
        const skipped = await runCase(caseName, makeHarness);
        if (skipped !== undefined) t.skip(skipped);
      });
    }
  });
}

/** Runs one case without a test runner. Throws what failed; answers why the case does not apply, if it does not. */
export async function runCase(
  name: CaseName,
  makeHarness: () => Promise<Harness>,
): Promise<string | undefined> {
  const scene = await openScene(makeHarness);
  try {
    const run: (scene: Scene) => Promise<void> = CASES[name];
    await run(scene);
    return undefined;
  } catch (error) {
    if (error instanceof NotForThisScheme) return error.message;
    throw error;
  } finally {
    await scene.close();
  }
}
